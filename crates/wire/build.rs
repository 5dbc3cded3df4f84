//! Passes on the versions of the libraries that speak the protocols, as the lockfile fixes them.

use std::path::Path;

fn main() {
    let lockfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", lockfile.display());
    let locked = std::fs::read_to_string(lockfile).unwrap_or_default();
    for name in ["h2", "hyper", "tungstenite"] {
        let entry = format!("name = \"{name}\"\nversion = \"");
        let version = locked.split_once(&entry).and_then(|(_, rest)| rest.split('"').next());
        println!(
            "cargo::rustc-env=VERSION_{}={}",
            name.to_uppercase(),
            version.unwrap_or("of an unknown version")
        );
    }
}
