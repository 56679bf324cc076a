use super::*;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn all_cores_share_the_port_that_the_kernel_chose() {
    let listeners = Listener::bind(loopback(0), &ListenOptions { cores: 3, ..Default::default() }).unwrap();
    assert_eq!(listeners.len(), 3);
    assert_ne!(listeners[0].address().tcp().unwrap().port(), 0);
    assert!(listeners.iter().all(|l| l.address() == listeners[0].address()));
}

#[test]
fn a_port_in_use_is_an_error_that_says_what_to_do() {
    for cores in [1, 2] {
        // Also when the other one would share its port.
        let first = Listener::bind(loopback(0), &ListenOptions { cores, ..Default::default() }).unwrap();
        let address = first[0].address().tcp().unwrap();
        let error = Listener::bind(address, &ListenOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("{address} is in use by another process; choose another with --listen"));
    }
}

#[test]
fn an_address_of_another_machine_is_an_error() {
    let error = Listener::bind(SocketAddr::from(([192, 0, 2, 1], 0)), &ListenOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "192.0.2.1:0 is no address of this machine; choose another with --listen");
}
