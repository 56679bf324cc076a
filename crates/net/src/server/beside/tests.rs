use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;

use super::*;

/// What wakes the task, and counts.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One that notes each of its turns, leaves its waker, and ends when it is told.
#[derive(Default, Clone)]
struct One {
    turns: Rc<Cell<usize>>,
    ends: Rc<Cell<bool>>,
    waker: Rc<RefCell<Option<Waker>>>,
}

impl One {
    fn running(&self) -> Running {
        let one = self.clone();
        Box::pin(poll_fn(move |cx| {
            one.turns.set(one.turns.get() + 1);
            *one.waker.borrow_mut() = Some(cx.waker().clone());
            if one.ends.get() { Poll::Ready(()) } else { Poll::Pending }
        }))
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

fn streams() -> (Streams, Arc<Task>) {
    let task = Arc::<Task>::default();
    (Streams::new(Waker::from(task.clone())), task)
}

#[test]
fn only_who_is_woken_has_a_turn() {
    let ((mut streams, task), one, other) = (streams(), One::default(), One::default());
    streams.push(one.running());
    streams.push(other.running());
    streams.poll();
    assert_eq!((one.turns.get(), other.turns.get()), (1, 1));
    other.wake();
    other.wake();
    assert_eq!(task.0.load(Ordering::SeqCst), 1, "it was called already");
    streams.poll();
    streams.poll();
    assert_eq!((one.turns.get(), other.turns.get()), (1, 2));
}

#[test]
fn a_place_is_had_again_and_an_old_waker_harms_nobody() {
    let ((mut streams, task), first, second) = (streams(), One::default(), One::default());
    first.ends.set(true);
    streams.push(first.running());
    streams.poll();
    first.wake();
    assert_eq!(task.0.load(Ordering::SeqCst), 1);
    streams.poll();
    assert_eq!(first.turns.get(), 1, "it has ended");
    streams.push(second.running());
    streams.poll();
    assert_eq!(streams.places.len(), 1);
    first.wake();
    streams.poll();
    assert_eq!((first.turns.get(), second.turns.get()), (1, 2));
}

#[test]
fn many_places_are_given_back_when_nobody_has_one() {
    let ((mut streams, _), many) = (streams(), One::default());
    for _ in 0..3 * PLACES_KEPT {
        streams.push(many.running());
    }
    streams.poll();
    assert_eq!(streams.places.len(), 3 * PLACES_KEPT);
    many.ends.set(true);
    let last = many.waker.borrow().clone();
    for place in &streams.places {
        place.waker.wake_by_ref();
    }
    streams.poll();
    assert_eq!((streams.places.len(), streams.free.len()), (PLACES_KEPT, PLACES_KEPT));
    // Its place is no more.
    last.expect("it had a turn").wake();
    streams.poll();
    assert_eq!(many.turns.get(), 6 * PLACES_KEPT);
}

#[test]
fn who_wakes_itself_has_its_turn_after_the_others() {
    let ((mut streams, task), turns) = (streams(), Rc::new(Cell::new(0)));
    let count = turns.clone();
    streams.push(Box::pin(poll_fn(move |cx| {
        count.set(count.get() + 1);
        cx.waker().wake_by_ref();
        Poll::Pending
    })));
    streams.poll();
    assert_eq!((turns.get(), task.0.load(Ordering::SeqCst)), (1, 1));
    streams.poll();
    assert_eq!(turns.get(), 2);
}

#[test]
fn what_is_under_way_ends_with_the_connection() {
    let ((mut streams, _), one) = (streams(), One::default());
    streams.push(one.running());
    streams.poll();
    *one.waker.borrow_mut() = None;
    drop(streams);
    assert_eq!(Rc::strong_count(&one.turns), 1);
}
