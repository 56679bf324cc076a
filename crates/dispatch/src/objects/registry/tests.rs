use base::{AppName, ClassName, TenantName};
use services::AppId;
use services::object::ObjectClass;
use tokio::sync::mpsc::unbounded_channel;

use super::*;

fn key(name: &str) -> ObjectKey {
    let app = AppId::new(TenantName::parse("t").expect("a name"), AppName::parse("a").expect("a name"));
    let class = ObjectClass::new(app, ClassName::parse("Room").expect("a name"));
    ObjectKey { id: class.id_of_name(name), class }
}

#[test]
fn an_object_stays_at_home_until_it_is_released() {
    let registry = Registry::default();
    assert!(registry.home(&key("a")).is_none(), "there is no core");
    let open = |core| registry.open(core, unbounded_channel().0);
    open(0);
    let keys: Vec<ObjectKey> = (0..64).map(|n| key(&n.to_string())).collect();
    let homes = || keys.iter().map(|key| registry.home(key).expect("a core").0).collect::<Vec<_>>();
    assert_eq!(homes(), vec![0; 64]);
    open(1);
    assert_eq!(homes(), vec![0; 64], "who has a home keeps it");
    keys.iter().for_each(|key| registry.release(key, 1));
    assert_eq!(homes(), vec![0; 64], "only its own home can release it");
    keys.iter().for_each(|key| registry.release(key, 0));
    let spread = homes();
    assert!(spread.contains(&0) && spread.contains(&1), "{spread:?}");
    assert_eq!(homes(), spread);
    registry.close(0);
    assert_eq!(homes(), vec![1; 64]);
    assert!(registry.is_first(1) && !registry.is_first(0));
}
