use super::*;

fn repo() -> Repo {
    Repo::find().unwrap()
}

fn need(name: &str) -> &'static Need {
    NEEDS.iter().find(|need| need.name == name).unwrap()
}

#[test]
fn packages_are_installed_in_one_go() {
    let commands = commands(&repo(), &[need("strace"), need("chromium"), need("typescript")]);
    assert_eq!(commands[..2], ["apt-get update", "apt-get install --yes --no-install-recommends strace chromium"]);
    assert!(commands[2].starts_with("npm install --prefix ") && commands[2].ends_with(" typescript@5"), "{commands:?}");
}

#[test]
fn nothing_missing_asks_for_nothing() {
    assert_eq!(commands(&repo(), &[]), [""; 0]);
}
