//! The pages of the program's own file: what its start has used of it, and what stays uses no more.

/// Lets go of them. Whatever is used again is found in the system's cache, with what lies around it; a process that has
/// started and then does one thing has a third of the pages so. Only what is never written is among them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "where the program lies, only its linker knows")]
pub fn let_go() {
    use rustix::mm::{Advice, madvise};

    unsafe extern "C" {
        // From the file's head to the end of its text: all linkers of ELF have these, and what is written comes behind.
        static __executable_start: u8;
        static etext: u8;
    }
    let page = rustix::param::page_size();
    let (first, end) = (&raw const __executable_start, &raw const etext);
    let first = first.map_addr(|at| at.next_multiple_of(page));
    let length = (end.addr() - end.addr() % page).saturating_sub(first.addr());
    // SAFETY: these pages are mapped from the file for as long as the process is there, and none was written: their
    // content is what it was. If it is refused, nothing has happened.
    let _ = unsafe { madvise(first.cast_mut().cast(), length, Advice::LinuxDontNeed) };
}

/// Others have no such names for it.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn let_go() {}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn a_program_goes_on_without_the_pages_it_let_go() {
        // In a process of its own: other tests use pages meanwhile.
        let told = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "keeper::image::tests::alone"])
            .output()
            .unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stdout));
        assert!(String::from_utf8_lossy(&told.stdout).contains("1 passed"));
    }

    #[test]
    #[ignore = "the other one runs it"]
    fn alone() {
        // How much is in memory of what is mapped from files.
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
        };
        let before = resident();
        let_go();
        let after = resident();
        assert!(after + 500 < before, "{after} of {before} kB are left");
    }
}
