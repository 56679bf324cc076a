use super::*;

#[test]
fn an_app_that_takes_all_it_can_leaves_the_others_theirs() {
    let stacks = Arc::new(Stacks::default());
    let (greedy, modest): (Arc<str>, Arc<str>) = ("greedy".into(), "modest".into());
    let held: Vec<_> = std::iter::from_fn(|| stacks.take(&greedy)).collect();
    assert_eq!(held.len() as u32, APP_MAX);
    assert!(stacks.take(&modest).is_some());
    drop(held);
    assert!(stacks.take(&greedy).is_some());
    assert!(stacks.lock().apps.is_empty() && stacks.lock().total == 0);
}

#[test]
fn all_apps_together_get_what_there_is() {
    let stacks = Arc::new(Stacks::default());
    let apps: Vec<Arc<str>> = (0..8).map(|i: u32| i.to_string().into()).collect();
    let held: Vec<_> = apps.iter().flat_map(|app| std::iter::from_fn(|| stacks.take(app))).collect();
    assert_eq!(held.len() as u32, DEEPER_STACKS);
    assert!(stacks.take(&"another".into()).is_none());
}
