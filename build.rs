//! How the program is linked. The library, and whatever else is built of it, are as cargo makes them.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    // At a fixed address there is nothing to relocate: else each process, and so each keeper, has 400 kB of pages of its
    // own, and the file says in 700 kB how to make them.
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
