use base::Clock as _;

use super::ManualClock;

#[test]
fn the_clock_stands_until_it_is_moved() {
    let clock = ManualClock::at(1_000);
    let before = clock.monotonic();
    assert_eq!(clock.unix_ms(), 1_000);
    clock.advance(250);
    assert_eq!(clock.unix_ms(), 1_250);
    assert_eq!((clock.monotonic() - before).as_millis(), 250);
}
