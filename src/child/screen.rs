//! temporary
use std::time::Instant;
use alacritty_terminal::{Term, event::{Event, EventListener}, grid::Dimensions, index::{Line, Column}, term::{Config, TermMode, cell::Flags}, vte::ansi::Processor};
use crate::id::Size;
#[derive(Clone, Default)] struct Rec(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
impl EventListener for Rec { fn send_event(&self, e: Event) { if let Event::PtyWrite(s) = e { self.0.lock().unwrap().extend(s.bytes()) } } }
struct S(Size);
impl Dimensions for S { fn total_lines(&self) -> usize { self.0.rows.into() } fn screen_lines(&self) -> usize { self.0.rows.into() } fn columns(&self) -> usize { self.0.cols.into() } }
#[derive(Clone, Copy, Debug, PartialEq, Eq)] pub struct Cursor { pub row: usize, pub col: usize, pub visible: bool }
pub struct ProgramStatus { pub state: String, pub kind: Option<String>, pub message: Option<String> }
#[derive(Default)] pub struct Text { pub lines: Vec<String>, pub history: usize }
pub struct Fed { pub answers: Vec<u8> }
pub struct Screen { term: Term<Rec>, p: Processor, rec: Rec, size: Size, version: u64 }
impl Screen {
  pub fn new(size: Size) -> Self { let rec = Rec::default(); Screen { term: Term::new(Config{scrolling_history: 1000, ..Default::default()}, &S(size), rec.clone()), p: Processor::new(), rec, size, version: 0 } }
  pub fn feed(&mut self, b: &[u8], _: Instant) -> Fed { self.version += 1; self.p.advance(&mut self.term, b); Fed { answers: std::mem::take(&mut *self.rec.0.lock().unwrap()) } }
  pub fn sync_deadline(&self) -> Option<Instant> { None }
  pub fn end_sync(&mut self, _: Instant) {}
  pub fn resize(&mut self, s: Size) { self.size = s; self.term.resize(S(s)) }
  pub fn size(&self) -> Size { self.size }
  pub fn title(&self) -> Option<&str> { None }
  pub fn bracketed_paste(&self) -> bool { self.term.mode().contains(TermMode::BRACKETED_PASTE) }
  pub fn app_cursor(&self) -> bool { self.term.mode().contains(TermMode::APP_CURSOR) }
  pub fn alternate(&self) -> bool { self.term.mode().contains(TermMode::ALT_SCREEN) }
  pub fn cursor(&self) -> Cursor { let p = self.term.grid().cursor.point; Cursor { row: p.line.0 as usize, col: p.column.0, visible: true } }
  pub fn status(&self) -> Option<&ProgramStatus> { None }
  pub fn version(&self) -> u64 { self.version }
  pub fn emulator_resets(&self) -> u32 { 0 }
  pub fn text(&self, _h: usize) -> Text { let g = self.term.grid(); let mut lines = vec![]; for l in 0..g.screen_lines() { let mut s = String::new(); for c in 0..g.columns() { let cell = &g[Line(l as i32)][Column(c)]; if !cell.flags.contains(Flags::WIDE_CHAR_SPACER) { s.push(cell.c) } } lines.push(s.trim_end().to_owned()); } while lines.last().is_some_and(String::is_empty) { lines.pop(); } Text { lines, history: 0 } }
}
