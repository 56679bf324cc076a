//! One engine cache for all tests: to compile the guest again for each would take longer than all
//! of them together.
//!
//! The first test process that comes makes it, by deploying a worker into a template directory; the
//! others wait for it at a lock. A cache that belongs to another build of the binary is brought up
//! to date in place.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::BINARY;

/// Gives a data directory that does not exist yet the template's cache, and the key that it is
/// sealed with.
pub fn copy(data: &Path) {
    let template = template();
    super::copy_dir(&template.join("data"), data);
    super::copy_dir(&template.join("data.keys"), &data.with_file_name("data.keys"));
}

fn template() -> PathBuf {
    let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join("warm");
    fs::create_dir_all(&template).expect("a directory");
    let lock = open_lock(&template.join("lock"));
    lock.lock().expect("the lock");
    let stamp = template.join("stamp");
    let wanted = build();
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return template;
    }
    let work = template.join("work");
    let _ = fs::remove_dir_all(&work);
    super::write(&work.join("project/selvedge.toml"), super::ONE_WORKER);
    super::write(
        &work.join("project/src/index.ts"),
        "export default { fetch() { return new Response(\"warm\"); } };\n",
    );
    // What was compiled before may still be right; what is not is made anew.
    for name in ["data.keys", "data"] {
        let before = template.join(name);
        if before.exists() {
            super::copy_dir(&before, &work.join(name));
        }
    }
    let output = Command::new(BINARY)
        .arg("deploy")
        .arg(work.join("project"))
        .arg("--data")
        .arg(work.join("data"))
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "no template: {}", String::from_utf8_lossy(&output.stderr));
    keep(&work, &template);
    fs::write(&stamp, wanted).expect("the stamp");
    template
}

/// Of the data, a template keeps the format, the compiled code and the engine's key, and no app.
fn keep(work: &Path, template: &Path) {
    for name in ["data.keys", "data"] {
        let _ = fs::remove_dir_all(template.join(name));
    }
    super::copy_dir(&work.join("data/cache"), &template.join("data/cache"));
    fs::copy(work.join("data/format"), template.join("data/format")).expect("the format");
    fs::create_dir_all(template.join("data.keys")).expect("a directory");
    fs::copy(work.join("data.keys/engine.key"), template.join("data.keys/engine.key")).expect("the key");
    fs::remove_dir_all(work).expect("the work is done");
}

/// What tells one build of the binary from another.
fn build() -> String {
    let metadata = fs::metadata(BINARY).expect("the binary");
    format!("{} bytes, {:?}", metadata.len(), metadata.modified().expect("a time"))
}

fn open_lock(path: &Path) -> File {
    OpenOptions::new().create(true).truncate(false).write(true).open(path).expect("the lock's file")
}
