use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn is_ready<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[test]
fn an_app_with_many_guests_gets_no_more_turns_than_one_with_few() {
    let core = Core::new(0);
    let (many, one): (Arc<str>, Arc<str>) = ("many".into(), "one".into());
    let first = is_ready(pin!(core.turn(&many))).expect("the lane is free");
    // Two more guests of the same app queue up before a guest of another app does.
    let mut second = pin!(core.turn(&many));
    let mut third = pin!(core.turn(&many));
    assert!(is_ready(second.as_mut()).is_none() && is_ready(third.as_mut()).is_none());
    let mut other = pin!(core.turn(&one));
    assert!(is_ready(other.as_mut()).is_none());
    drop(first);
    assert!(is_ready(second.as_mut()).is_none(), "the other app is next");
    assert!(is_ready(other.as_mut()).is_some());
    assert!(is_ready(second.as_mut()).is_some());
}

#[test]
fn long_computations_take_turns_of_their_own() {
    let core = Core::new(0);
    let app: Arc<str> = "app".into();
    let guest = is_ready(pin!(core.turn(&app))).expect("the lane is free");
    let first = is_ready(pin!(core.long_turn(&app))).expect("a guest that runs holds up no computation");
    let mut second = pin!(core.long_turn(&app));
    assert!(is_ready(second.as_mut()).is_none(), "one at a time");
    drop(guest);
    assert!(is_ready(second.as_mut()).is_none());
    drop(first);
    assert!(is_ready(second.as_mut()).is_some());
}

#[test]
fn a_told_time_is_for_all_but_the_one_that_tells_it() {
    let name = |text| WorkerName::parse(text).expect("a name");
    let told = ToldTime::new(name("tests"));
    let core = Core::with_told_time(0, told.clone());
    assert_eq!((core.told_us(), core.told_us_to(&name("web"))), (None, None));
    told.tell(Some(0));
    assert_eq!(
        (core.told_us(), core.told_us_to(&name("web")), core.told_us_to(&name("tests"))),
        (Some(0), Some(0), None)
    );
    told.tell(None);
    assert_eq!(core.told_us(), None);
    assert_eq!(Core::new(1).told_us(), None);
}
