use base::{AppName, TenantName};

use super::alarm::{Begun, begin};
use super::*;

fn class(app: &str, name: &str) -> ObjectClass {
    let app = AppId::new(TenantName::parse("t").expect("a name"), AppName::parse(app).expect("a name"));
    ObjectClass::new(app, ClassName::parse(name).expect("a name"))
}

#[test]
fn an_id_belongs_to_its_class_and_comes_back_from_its_text() {
    let (room, hall, other) = (class("a", "Room"), class("a", "Hall"), class("b", "Room"));
    let id = room.id_of_name("lobby");
    assert_eq!(id, room.id_of_name("lobby"));
    assert_ne!(id, room.id_of_name("lobby "));
    assert_ne!(id, hall.id_of_name("lobby"));
    let unique = room.unique_id(&[7; 32]);
    for id in [id, unique] {
        let text = id.to_string();
        assert_eq!(text.len(), 64);
        assert_eq!(room.parse_id(&text), Some(id));
        assert_eq!(hall.parse_id(&text), None);
        assert_eq!(other.parse_id(&text), None);
    }
    for bad in ["", "zz", &"0".repeat(64), &unique.to_string()[1..]] {
        assert_eq!(room.parse_id(bad), None, "{bad}");
    }
    assert_ne!(id.as_bytes()[0] & 0x80, unique.as_bytes()[0] & 0x80);
}

#[test]
fn an_alarm_is_tried_with_longer_and_longer_pauses_and_then_given_up() {
    let mut alarm = Alarm::at(1_000);
    assert_eq!(begin(alarm, 999, 6), Begun::NotYet);
    let mut pauses = Vec::new();
    loop {
        let now = alarm.due_ms;
        match begin(alarm, now, 6) {
            Begun::Run { next } => {
                pauses.push(next.due_ms - now);
                assert_eq!(next.scheduled_ms, 1_000);
                alarm = next;
            }
            Begun::GiveUp => break,
            Begun::NotYet => panic!("it is due"),
        }
    }
    assert_eq!(pauses, [2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000], "one try and six more");
}

#[test]
fn a_ticket_tells_the_same_end_as_often_as_it_is_asked() {
    let ticket = Ticket::of(async { Err(StoreError::Full("x".into())) });
    assert_eq!(ticket.peek(), None);
    let mut again = ticket.clone();
    assert!(ticket.clone().now_or_never().expect("ready").is_err());
    assert!((&mut again).now_or_never().expect("ready").is_err());
    assert!((&mut again).now_or_never().expect("ready").is_err());
    assert!(matches!(ticket.peek(), Some(Err(StoreError::Full(_)))));
    assert_eq!(Ticket::durable().peek(), Some(Ok(())));
}
