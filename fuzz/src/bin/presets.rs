//! A preset file that anybody may have written: it is refused with a reason, or what is launched by it is sound, and no
//! argument of it depends on the child's secret.
#![no_main]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Instant,
};

use compere::{
    child::state::Reducer,
    preset::{Context, Preset, PresetDirs, Presets, Resolved, Wish, resolve},
};
use compere_fuzz::place;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [flags, json @ ..] = data else { return };
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let dir = place("presets");
        fs::create_dir_all(&dir).unwrap();
        dir
    });
    fs::write(dir.join("a.json"), json).unwrap();
    let presets = Presets::load(PresetDirs { user: Some(dir.clone()), workspace: None, trust: None });
    match presets.get("a") {
        Ok(preset) => accepted(&presets, preset, *flags),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    assert!(presets.list().iter().any(|listed| listed.name == "a"));
});

fn accepted(presets: &Presets, preset: &Preset, flags: u8) {
    let json = serde_json::to_string(preset).unwrap();
    assert_eq!(&serde_json::from_str::<Preset>(&json).unwrap(), preset);
    for program in &preset.programs {
        presets.for_command(std::slice::from_ref(program)).unwrap();
    }
    Reducer::new(&preset.state, 1, Instant::now());

    let one = launch(preset, flags, "one-secret");
    let other = launch(preset, flags, "other-secret");
    assert_eq!(one.argv, other.argv, "an argument tells the identity");
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|file| file.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&one.files), names(&other.files));
    for (name, _) in &one.files {
        assert_eq!(Path::new(name).file_name(), Some(name.as_ref()));
    }
    assert!(!one.argv[0].is_empty() && one.size == one.size.clamped());
    let sound = |text: &String| !text.contains('\0');
    assert!(one.argv.iter().all(sound) && one.env.iter().all(|(name, value)| sound(name) && sound(value)));
    assert!(one.env.iter().all(|(name, _)| !name.is_empty() && !name.contains('=')));
    let own = |name: &str| one.env.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str());
    assert_eq!((own("COMPERE_IDENTITY"), own("COMPERE_SOCKET")), (Some("one-secret"), Some("/run/s")));
}

fn launch(preset: &Preset, flags: u8, identity: &str) -> Resolved {
    let wish = Wish {
        command: (flags & 1 != 0).then(|| vec!["own".into(), "--".into(), "x".into()]),
        message: (flags & 2 != 0).then(|| "${identity} \\".into()),
        ..Wish::default()
    };
    let context = Context {
        compere: Path::new("/bin/com\"pere"),
        identity,
        socket: Path::new("/run/s"),
        dir: Path::new("/run/c1"),
        base_env: vec![("SHELL".into(), "/bin/${identity}".into()), ("PATH".into(), "/bin".into())],
    };
    resolve(Some(preset), wish, context).unwrap()
}
