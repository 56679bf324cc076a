use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;

use super::*;

fn bounds(concurrency: u32, queue: u32) -> Bounds {
    Bounds { concurrency, queue }
}

fn entered(admission: &Arc<Admission>) -> Slot {
    match admission.enter() {
        Ok(Entry::Entered(slot)) => slot,
        _ => panic!("there is room"),
    }
}

fn waiting(admission: &Arc<Admission>) -> Waiting {
    match admission.enter() {
        Ok(Entry::Waiting(waiting)) => waiting,
        _ => panic!("there is no room, but room to wait"),
    }
}

fn refusal(admission: &Arc<Admission>) -> Refusal {
    admission.enter().err().expect("a refusal")
}

#[test]
fn counts_survive_the_word_they_are_kept_in() {
    for counts in [
        Counts::default(),
        Counts { in_progress: u32::MAX, waiting: u32::MAX >> 1, closed: true },
        Counts { in_progress: 1, waiting: 2, closed: false },
    ] {
        assert_eq!(Counts::unpack(counts.pack()), counts);
    }
}

#[test]
fn a_full_app_queues_and_a_full_queue_refuses() {
    let admission = Admission::new(bounds(1, 1), false);
    let slot = entered(&admission);
    let mut first = waiting(&admission);
    assert_eq!(refusal(&admission), Refusal::QueueFull);
    assert!(first.slot.try_recv().is_err());
    drop(slot);
    assert!(first.slot.try_recv().is_ok());
}

#[test]
fn one_that_leaves_the_queue_makes_room_in_it() {
    let admission = Admission::new(bounds(1, 1), false);
    let slot = entered(&admission);
    drop(waiting(&admission));
    let mut second = waiting(&admission);
    drop(slot);
    assert!(second.slot.try_recv().is_ok());
    drop(second);
    assert_eq!(admission.counts(), Counts::default());
}

#[test]
fn a_place_that_was_granted_to_one_that_left_goes_to_the_next() {
    let admission = Admission::new(bounds(1, 2), false);
    let slot = entered(&admission);
    let (first, mut second) = (waiting(&admission), waiting(&admission));
    drop(slot);
    // The first has its place, but never looked.
    drop(first);
    assert!(second.slot.try_recv().is_ok());
}

#[test]
fn raised_bounds_let_those_who_wait_in_and_lowered_ones_hold_the_rest_back() {
    let admission = Admission::new(bounds(1, 4), false);
    let slot = entered(&admission);
    let mut queue: Vec<Waiting> = (0..3).map(|_| waiting(&admission)).collect();
    admission.set_bounds(bounds(3, 4));
    let admitted: Vec<Option<Slot>> = queue.iter_mut().map(|w| w.slot.try_recv().ok()).collect();
    assert_eq!(admitted.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
    admission.set_bounds(bounds(1, 4));
    drop(slot);
    drop(admitted);
    assert!(queue[2].slot.try_recv().is_ok());
}

#[test]
fn a_closed_admission_serves_who_waits_and_nobody_else() {
    let admission = Admission::new(bounds(1, 4), false);
    let slot = entered(&admission);
    let mut first = waiting(&admission);
    admission.close();
    assert_eq!(refusal(&admission), Refusal::Closed);
    drop(slot);
    assert!(first.slot.try_recv().is_ok());
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_after_the_time_that_is_allowed() {
    let admission = Admission::new(bounds(1, 4), false);
    let _slot = entered(&admission);
    let refused = waiting(&admission).within(Duration::from_millis(100)).await.err();
    assert_eq!(refused, Some(Refusal::WaitedTooLong));
    assert_eq!(admission.counts(), Counts { in_progress: 1, ..Counts::default() });
}

/// What admission means, said plainly.
#[derive(Default)]
struct Model {
    inside: u32,
    queue: VecDeque<usize>,
}

#[derive(Debug, Clone)]
enum Step {
    Arrive,
    Depart(usize),
    GiveUp(usize),
    Bounds(u32, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Arrive),
        3 => any::<usize>().prop_map(Step::Depart),
        1 => any::<usize>().prop_map(Step::GiveUp),
        1 => (1u32..5, 0u32..5).prop_map(|(c, q)| Step::Bounds(c, q)),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn admission_agrees_with_the_model(steps in steps()) {
        let mut now = bounds(2, 3);
        let admission = Admission::new(now, false);
        let mut model = Model::default();
        let (mut inside, mut queue): (Vec<Slot>, Vec<(usize, Waiting)>) = Default::default();
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::Arrive => match admission.enter() {
                    Ok(Entry::Entered(slot)) => {
                        prop_assert!(model.queue.is_empty() && model.inside < now.concurrency);
                        model.inside += 1;
                        inside.push(slot);
                    }
                    Ok(Entry::Waiting(waiting)) => {
                        prop_assert!(model.inside >= now.concurrency && (model.queue.len() as u32) < now.queue);
                        model.queue.push_back(id);
                        queue.push((id, waiting));
                    }
                    Err(refusal) => {
                        prop_assert_eq!(refusal, Refusal::QueueFull);
                        prop_assert!(model.inside >= now.concurrency && model.queue.len() as u32 >= now.queue);
                    }
                },
                Step::Depart(which) if !inside.is_empty() => {
                    model.inside -= 1;
                    drop(inside.swap_remove(which % inside.len()));
                }
                Step::GiveUp(which) if !queue.is_empty() => {
                    let (id, waiting) = queue.remove(which % queue.len());
                    model.queue.retain(|&known| known != id);
                    drop(waiting);
                }
                Step::Bounds(concurrency, queue_max) => {
                    now = bounds(concurrency, queue_max);
                    admission.set_bounds(now);
                }
                Step::Depart(_) | Step::GiveUp(_) => {}
            }
            // Places go to those who wait, in the order in which they came.
            while model.inside < now.concurrency {
                let Some(first) = model.queue.pop_front() else { break };
                let (id, mut waiting) = queue.remove(0);
                prop_assert_eq!(id, first);
                inside.push(waiting.slot.try_recv().expect("the first in the queue has a place"));
                model.inside += 1;
            }
            prop_assert!(queue.iter_mut().all(|(_, waiting)| waiting.slot.try_recv().is_err()));
            let counts = admission.counts();
            prop_assert_eq!((counts.in_progress, counts.waiting), (model.inside, model.queue.len() as u32));
        }
        drop((inside, queue));
        prop_assert_eq!(admission.counts(), Counts::default());
    }
}

#[test]
fn many_threads_never_exceed_the_limit_and_nobody_is_forgotten() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 2_000;
    let admission = Admission::new(bounds(3, THREADS as u32), false);
    let (inside, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (admission, inside, served) = (&admission, &inside, &served);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let slot = match admission.enter().expect("the queue has room for every thread") {
                        Entry::Entered(slot) => slot,
                        // Some give up, as clients do.
                        Entry::Waiting(_) if (thread + round) % 7 == 0 => continue,
                        Entry::Waiting(mut waiting) => loop {
                            if let Ok(slot) = waiting.slot.try_recv() {
                                break slot;
                            }
                            std::thread::yield_now();
                        },
                    };
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                    served.fetch_add(1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(slot);
                }
            });
        }
    });
    assert!(served.load(Ordering::SeqCst) > THREADS * ROUNDS / 2);
    assert_eq!(admission.counts(), Counts::default());
}
