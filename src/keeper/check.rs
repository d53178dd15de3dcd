//! What can be known to be wrong with a [`Spec`] before anything is started. portable-pty would run the
//! program in $HOME when the directory is missing, and report success when exec fails; so it is never asked
//! to. Starts nothing, changes nothing.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::{fs::Access, process::Resource};

use super::spec::{Spec, StartError};

/// The program's file, if nothing is known to be in the way of running it.
pub(super) fn check(spec: &Spec) -> Result<PathBuf, StartError> {
    let program = spec.argv.first().filter(|program| !program.is_empty()).ok_or(StartError::EmptyArgv)?;
    check_texts(spec, program)?;
    check_cwd(&spec.cwd)?;
    let path = find(spec, program)?;
    check_interpreter(spec, &path)?;
    check_lengths(spec, program, &path)?;
    Ok(path)
}

/// Where `execvp` looks when there is no PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// Linux: 32 pages for a single text, its NUL included (`MAX_ARG_STRLEN`).
const MAX_TEXT: u64 = 32 * 4096;
/// For what the kernel adds itself: file name, random bytes, an interpreter's arguments.
const RESERVED: u64 = 16 * 1024;

fn check_texts(spec: &Spec, program: &str) -> Result<(), StartError> {
    let name = |text: &str| text.replace('\0', "\u{fffd}");
    let nul = |place: String| StartError::Nul { program: name(program), place };
    if let Some(i) = spec.argv.iter().position(|arg| arg.contains('\0')) {
        return Err(nul(format!("argv[{i}]")));
    }
    for (key, value) in &spec.env {
        if key.contains('\0') {
            return Err(nul(format!("the variable name {}", name(key))));
        }
        if value.contains('\0') {
            return Err(nul(format!("the value of {key}")));
        }
        if key.is_empty() || key.contains('=') {
            return Err(StartError::BadEnvName { program: program.to_owned(), name: key.clone() });
        }
    }
    if spec.cwd.as_os_str().as_bytes().contains(&0) {
        return Err(nul("cwd".to_owned()));
    }
    Ok(())
}

fn check_cwd(cwd: &Path) -> Result<(), StartError> {
    let cwd = cwd.to_owned();
    if !cwd.is_absolute() {
        return Err(StartError::CwdRelative { cwd });
    }
    let not_enterable =
        |cwd, error: io::Error| Err(StartError::CwdNotEnterable { cwd, reason: error.to_string() });
    match cwd.metadata() {
        Ok(meta) if !meta.is_dir() => Err(StartError::CwdNotADirectory { cwd }),
        Ok(_) => match rustix::fs::access(&cwd, Access::EXEC_OK) {
            Ok(()) => Ok(()),
            Err(errno) => not_enterable(cwd, errno.into()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StartError::CwdMissing { cwd }),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(StartError::CwdNotADirectory { cwd })
        }
        Err(error) => not_enterable(cwd, error),
    }
}

fn find(spec: &Spec, program: &str) -> Result<PathBuf, StartError> {
    let not_executable = |path| StartError::NotExecutable { program: program.to_owned(), path };
    let not_found = |searched: &str| StartError::ProgramNotFound {
        program: program.to_owned(),
        searched: searched.to_owned(),
    };
    if program.contains('/') {
        let path = spec.cwd.join(program);
        return match Found::at(&path) {
            Found::Program => Ok(path),
            Found::Directory => Err(StartError::ProgramIsADirectory { program: program.to_owned(), path }),
            Found::NotExecutable => Err(not_executable(path)),
            Found::Nothing => Err(not_found(&spec.cwd.to_string_lossy())),
        };
    }
    let search = search_path(spec).unwrap_or(DEFAULT_PATH);
    let mut rejected = None;
    for dir in std::env::split_paths(search) {
        let path = spec.cwd.join(dir).join(program);
        match Found::at(&path) {
            Found::Program => return Ok(path),
            Found::NotExecutable => rejected = rejected.or(Some(path)),
            Found::Directory | Found::Nothing => {}
        }
    }
    Err(rejected.map_or_else(|| not_found(search), not_executable))
}

/// The last PATH wins, as in the environment that will be made of it.
pub(super) fn search_path(spec: &Spec) -> Option<&str> {
    spec.env.iter().rfind(|(key, _)| key == "PATH").map(|(_, value)| value.as_str())
}

enum Found {
    Program,
    Directory,
    NotExecutable,
    Nothing,
}

impl Found {
    fn at(path: &Path) -> Found {
        match path.metadata() {
            Err(_) => Found::Nothing,
            Ok(meta) if meta.is_dir() => Found::Directory,
            Ok(meta) if meta.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok() => Found::Program,
            Ok(_) => Found::NotExecutable,
        }
    }
}

/// Follows `#!` as far as the kernel does.
fn check_interpreter(spec: &Spec, script: &Path) -> Result<(), StartError> {
    let mut path = script.to_owned();
    for _ in 0..5 {
        let Some(named) = interpreter(&path) else { return Ok(()) };
        let interpreter = spec.cwd.join(named);
        if !matches!(Found::at(&interpreter), Found::Program) {
            return Err(StartError::InterpreterMissing { script: path, interpreter });
        }
        path = interpreter;
    }
    Ok(())
}

/// What `#!` names. A file that cannot be read may be executable all the same.
fn interpreter(path: &Path) -> Option<PathBuf> {
    // The kernel looks at this much.
    let mut head = Vec::new();
    File::open(path).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let name = line.split(|byte| matches!(byte, b' ' | b'\t')).find(|word| !word.is_empty())?;
    Some(PathBuf::from(OsStr::from_bytes(name)))
}

/// As the kernel counts, in `bprm_stack_limits` and `copy_strings`.
fn check_lengths(spec: &Spec, program: &str, path: &Path) -> Result<(), StartError> {
    let too_long =
        |what, bytes, limit| Err(StartError::TooLong { program: program.to_owned(), what, bytes, limit });
    let mut all = path.as_os_str().len() as u64 + RESERVED;
    for (i, arg) in spec.argv.iter().enumerate() {
        let len = arg.len() as u64 + 1;
        if len > MAX_TEXT {
            return too_long(format!("argv[{i}]"), len - 1, MAX_TEXT - 1);
        }
        all += len + 8;
    }
    let env: BTreeMap<_, _> = spec.env.iter().map(|(key, value)| (key, value)).collect();
    for (key, value) in env {
        let len = (key.len() + 1 + value.len() + 1) as u64;
        if len > MAX_TEXT {
            return too_long(format!("the variable {key}"), len - 1, MAX_TEXT - 1);
        }
        all += len + 8;
    }
    let stack = rustix::process::getrlimit(Resource::Stack).current.unwrap_or(u64::MAX);
    let limit = (stack / 4).clamp(MAX_TEXT, 6 << 20);
    if all > limit { too_long("the command with its environment".to_owned(), all, limit) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::id::Size;

    /// A directory with a program, a file, a directory and three scripts.
    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Place {
            let place = Place(tempfile::tempdir().unwrap());
            place.file("program", "\x7fELF", 0o755);
            place.file("file", "", 0o644);
            place.file("script", "#!/bin/sh -e\n", 0o755);
            place.file("broken", "#! /no/such/interpreter -x\n", 0o755);
            place.file("windows", "#!/bin/sh\r\n", 0o755);
            place.file("twice", &format!("#!{}\n", place.path("broken")), 0o755);
            fs::create_dir(place.path("dir")).unwrap();
            place.file("dir/inner", "", 0o755);
            fs::create_dir(place.path("dir/program")).unwrap();
            place
        }

        fn path(&self, name: &str) -> String {
            self.0.path().join(name).to_str().unwrap().to_owned()
        }

        fn file(&self, name: &str, text: &str, mode: u32) {
            fs::write(self.path(name), text).unwrap();
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }

        fn spec(&self, argv: &[&str]) -> Spec {
            Spec {
                child: "c1".into(),
                argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
                cwd: self.0.path().to_owned(),
                env: vec![("PATH".into(), format!("{}:{}", self.path("dir"), self.path("")))],
                size: Size::DEFAULT,
                ring: "/nowhere".into(),
                socket: "/nowhere".into(),
                about: serde_json::Value::Null,
                files: None,
            }
        }

        #[track_caller]
        fn finds(&self, program: &str, path: &str) {
            assert_eq!(check(&self.spec(&[program])), Ok(PathBuf::from(path)), "{program}");
        }

        #[track_caller]
        fn fails(&self, program: &str, expected: &str) {
            let error = check(&self.spec(&[program])).unwrap_err().to_string();
            assert!(error.contains(expected), "{program}: {error}");
        }
    }

    #[test]
    fn a_program_is_found_as_the_child_would_find_it() {
        let place = Place::new();
        place.finds("program", &place.path("program"));
        place.finds("inner", &place.path("dir/inner"));
        place.finds("dir/inner", &place.path("dir/inner"));
        place.finds("./program", &place.path("./program"));
        place.finds("script", &place.path("script"));
        place.finds("/bin/sh", "/bin/sh");

        let mut spec = place.spec(&["sh"]);
        spec.env.clear();
        assert_eq!(check(&spec), Ok("/bin/sh".into()));
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let place = Place::new();
        place.fails("nonesuch", &format!("find the program \"nonesuch\" in {:?}", place.spec(&[]).env[0].1));
        place.fails("./nonesuch", "find the program \"./nonesuch\" in");
        place.fails("/no/such", "find the program \"/no/such\"");
        place.fails("file", &format!("{:?} is not executable", place.path("file")));
        place.fails("./file", "is not executable");
        place.fails("./dir", "is a directory");
        place.fails("/dev/null", "is not executable");
        let missing =
            format!("the script {:?}: its interpreter \"/no/such/interpreter\"", place.path("broken"));
        place.fails("broken", &missing);
        place.fails("twice", &missing);
        place.fails("windows", r#"its interpreter "/bin/sh\r""#);
    }

    #[test]
    fn texts_that_the_kernel_would_cut_are_refused() {
        let place = Place::new();
        let error = |spec: &Spec| check(spec).unwrap_err().to_string();
        assert_eq!(check(&place.spec(&[])), Err(StartError::EmptyArgv));
        assert_eq!(check(&place.spec(&[""])), Err(StartError::EmptyArgv));
        assert!(error(&place.spec(&["program", "a\0b"])).contains("NUL byte in argv[1]"));
        assert!(error(&place.spec(&["\0"])).contains("NUL byte in argv[0]"));
        for (key, value, expected) in [
            ("A\0", "", "NUL byte in the variable name A"),
            ("A", "b\0", "NUL byte in the value of A"),
            ("", "b", "\"\" cannot be the name"),
            ("A=B", "", "\"A=B\" cannot be the name"),
        ] {
            let mut spec = place.spec(&["program"]);
            spec.env.push((key.into(), value.into()));
            let error = error(&spec);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_entered_is_refused() {
        let place = Place::new();
        let cwd = |cwd: &str| check(&Spec { cwd: cwd.into(), ..place.spec(&["/bin/sh"]) }).unwrap_err();
        assert_eq!(cwd("/no/such"), StartError::CwdMissing { cwd: "/no/such".into() });
        assert_eq!(cwd("tmp"), StartError::CwdRelative { cwd: "tmp".into() });
        assert_eq!(cwd(""), StartError::CwdRelative { cwd: "".into() });
        assert_eq!(cwd(&place.path("file")), StartError::CwdNotADirectory { cwd: place.path("file").into() });
        assert!(matches!(cwd(&place.path("file/x")), StartError::CwdNotADirectory { .. }));
        assert!(matches!(cwd("/tmp/\0"), StartError::Nul { place, .. } if place == "cwd"));
        let name_too_long = format!("/{}", "x".repeat(300));
        assert!(matches!(cwd(&name_too_long), StartError::CwdNotEnterable { .. }));
    }

    #[test]
    fn what_the_kernel_would_not_pass_is_refused() {
        let place = Place::new();
        let error = |spec: &Spec| check(spec).unwrap_err().to_string();
        let most = "x".repeat(131_071);
        assert!(check(&place.spec(&["program", &most])).is_ok());
        assert!(error(&place.spec(&["program", &format!("{most}x")])).contains("argv[1] has 131072 bytes"));
        let mut spec = place.spec(&["program"]);
        spec.env.push(("LONG".into(), most.clone()));
        assert!(error(&spec).contains("the variable LONG has 131076 bytes"));
        assert!(
            error(&place.spec(&[&["program"], vec![most.as_str(); 60].as_slice()].concat()))
                .contains("command with")
        );
    }
}
