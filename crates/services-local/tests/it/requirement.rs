//! What a test needs beyond Rust. A missing thing is named with the command that brings it; with
//! `SELVEDGE_REQUIRE_ALL=1` it is a failure.

use std::process::{Command, Stdio};

/// Whether the program runs with these arguments.
pub fn has(program: &str, arguments: &[&str], bring: &str) -> bool {
    let run = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = run.is_ok_and(|status| status.success());
    if !found {
        let message = format!("missing requirement: {program} {}; {bring}", arguments.join(" "));
        assert!(std::env::var_os("SELVEDGE_REQUIRE_ALL").is_none(), "{message}");
        eprintln!("{message}");
    }
    found
}

pub fn strace() -> bool {
    has("strace", &["-qq", "-o", "/dev/null", "true"], "install it with: apt-get install strace")
}

pub fn own_mounts() -> bool {
    let bring = "allow user namespaces with: sysctl kernel.unprivileged_userns_clone=1";
    has("unshare", &["-rm", "mount", "-t", "tmpfs", "none", "/mnt"], bring)
}
