//! The name of a child for which its parent gave none.

use std::path::Path;

use super::tree::valid_name;

/// The fallback, or the fallback with the first number that makes it free.
pub(super) fn free_name(fallback: &str, free: impl Fn(&str) -> bool) -> String {
    let base = basename(std::slice::from_ref(&fallback.to_owned()));
    let mut base: String = base
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .take(30)
        .collect();
    if !valid_name(&base) {
        base = format!("child-{base}");
    }
    let numbered = (2..).map(|n: u32| format!("{base}-{n}"));
    std::iter::once(base.clone()).chain(numbered).find(|name| free(name)).unwrap_or(base)
}

/// The last part of a program's path.
pub(super) fn basename(argv: &[String]) -> String {
    let program = argv.first().map_or("", String::as_str);
    Path::new(program)
        .file_name()
        .map_or_else(|| program.to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_from_what_is_run() {
        for (fallback, taken, name) in [
            ("shell", &[][..], "shell"),
            ("shell", &["shell"], "shell-2"),
            ("shell", &["shell", "shell-2"], "shell-3"),
            ("/usr/bin/python3.11", &[], "python3.11"),
            ("c3", &[], "child-c3"),
            ("a b\n", &[], "a-b-"),
            ("", &[], "child-"),
            ("../..", &[], "child-..-.."),
        ] {
            assert_eq!(free_name(fallback, |name| !taken.contains(&name)), name, "{fallback:?} {taken:?}");
        }
    }
}
