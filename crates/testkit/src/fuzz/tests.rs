use super::*;

#[test]
fn what_came_to_something_new_leads_to_the_failure() {
    let target = || {
        Fuzz::new("none").seeds(["hello 12"]).words(&["deep", "er"]).quick_inputs(200_000).run(|input| {
            let text = String::from_utf8_lossy(input);
            assert!(!text.contains("deeperer"), "found");
            (text.contains("deep"), text.contains("deeper"))
        });
    };
    let panic = catch_unwind(target).expect_err("it is found");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"found"));
}

#[test]
fn equal_seeds_make_equal_inputs() {
    let corpus = [b"one".to_vec(), b"two 2".to_vec()];
    let inputs = |seed| {
        let mut mutator = Mutator::new(seed, &["word"]);
        (0..100).map(|_| mutator.mutate(&corpus)).collect::<Vec<_>>()
    };
    assert_eq!(inputs(7), inputs(7));
    assert_ne!(inputs(7), inputs(8));
}

#[test]
fn an_input_that_is_over_decides_for_the_first() {
    let mut choices = Choices::new(&[1, 200]);
    assert_eq!(choices.pick(&["a", "b", "c"]), "b");
    assert_eq!(choices.below(7), 200 % 7);
    assert!(choices.is_over());
    assert_eq!((choices.pick(&["a", "b"]), choices.u32(), choices.bytes(9)), ("a", 0, &[][..]));
}

#[test]
fn an_input_that_never_ends_ends_its_process() {
    const SPIN: &str = "SELVEDGE_FUZZ_SPIN";
    if env::var_os(SPIN).is_some() {
        let watch = Watch::start(Duration::from_millis(100), u64::MAX);
        watch.begin();
        loop {
            std::hint::spin_loop();
        }
    }
    let itself = env::current_exe().expect("the test binary");
    let test = ["--exact", "fuzz::tests::an_input_that_never_ends_ends_its_process", "--nocapture"];
    let output = std::process::Command::new(itself).args(test).env(SPIN, "1").output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("the watch ended the process"), "{said}");
}
