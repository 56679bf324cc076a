use super::*;

#[track_caller]
fn good(text: &str) -> NodeConfig {
    parse("node.toml", text, Path::new("/etc/selvedge")).unwrap_or_else(|error| panic!("{error}"))
}

/// Each problem as `line:column message | help`.
#[track_caller]
fn bad(text: &str, wanted: &[&str]) {
    let problems = parse("node.toml", text, Path::new("/etc/selvedge")).expect_err("a problem").0.problems;
    let said: Vec<String> =
        problems.iter().map(|problem| format!("{problem} | {}", problem.help.as_deref().unwrap_or_default())).collect();
    assert_eq!(said.len(), wanted.len(), "{said:#?}");
    for (said, wanted) in said.iter().zip(wanted) {
        assert!(wanted.split('…').all(|part| said.contains(part)), "{wanted}\n{said}");
    }
}

#[test]
fn everything_that_can_stand_there_is_read() {
    let config = good(
        r#"
        limits = { connections = 5 }

        [[listeners]]
        listen = "[::]:443"
        proxy_protocol_from = ["10.0.0.0/8", "192.0.2.1"]
        hsts = { max_age_s = 60, include_subdomains = true, hosts = ["example.com", "*.example.com"] }

        [listeners.tls]
        certificates = [{ cert = "a.pem", key = "/keys/a.key", hosts = ["example.com"], ocsp = "a.ocsp", default = true }]
        directories = ["certs"]
        client_ca = "clients.pem"
        client_auth = "optional"
        clients = [{ hosts = ["admin.example.com"], ca = "staff.pem" }]
        min_version = "1.3"

        [[listeners]]
        listen = "0.0.0.0:80"
        redirect_to_https = true

        [[listeners]]
        listen = "0.0.0.0:8080"
        redirect_to_https = { port = 8443, hosts = ["example.com"] }

        [[listeners]]
        listen = "unix:run/selvedge.sock"
        mode = "600"
        proxy_protocol_from = ["unix"]
        "#,
    );
    assert_eq!(config.limits.connections, 5);
    let [secure, plain, elsewhere, unix] = &config.listeners[..] else { panic!("four listeners") };
    let tls = secure.tls.as_ref().expect("TLS");
    assert!(tls.only_tls13);
    assert_eq!((tls.sources.len(), tls.clients.len()), (2, 2));
    assert!(!tls.clients[0].required && tls.clients[1].required);
    assert_eq!(tls.clients[1].ca, Path::new("/etc/selvedge/staff.pem"));
    let net::tls::Source::Files { cert, key, default, .. } = &tls.sources[0] else { panic!("files") };
    assert_eq!((cert.as_path(), key.as_path()), (Path::new("/etc/selvedge/a.pem"), Path::new("/keys/a.key")));
    assert!(*default);
    assert_eq!(secure.proxies.len(), 2);
    assert!(plain.door.redirect.as_ref().is_some_and(|redirect| redirect.port == 443));
    assert!(elsewhere.door.redirect.as_ref().is_some_and(|redirect| redirect.port == 8443));
    assert_eq!(unix.address, Address::Unix("/etc/selvedge/run/selvedge.sock".into()));
    assert_eq!((unix.mode, unix.proxied_unix), (0o600, true));
}

#[test]
fn nothing_is_a_configuration_too() {
    assert!(good("").listeners.is_empty());
}

#[test]
fn a_setting_that_is_not_there_is_named_with_the_nearest_one() {
    bad(
        "[[listeners]]\nlisten = \"0.0.0.0:80\"\nredirect_https = true\n",
        &["node.toml:3: a listener has no setting `redirect_https`…did you mean `redirect_to_https`?"],
    );
    bad("[[listener]]\nlisten = \"0.0.0.0:80\"\n", &["the configuration has no setting `listener`…`listeners`"]);
    bad("[limits]\nconections = 5\n", &["[limits] has no setting `conections`…did you mean `connections`?"]);
    bad(
        "[[listeners]]\nlisten = \"0.0.0.0:443\"\ntls = { certificates = [{ crt = \"a\", key = \"b\" }] }\n",
        &["`cert` is missing here", "a certificate has no setting `crt`…did you mean `cert`?"],
    );
}

#[test]
fn every_mistake_is_found_at_once_with_its_place() {
    bad(
        r#"
[[listeners]]
listen = "localhost:80"
[[listeners]]
listen = "0.0.0.0:80"
mode = "999"
proxy_protocol_from = ["10.0.0.0/40"]
hsts = {}
[[listeners]]
listen = "0.0.0.0:80"
tls = { min_version = "1.1", client_auth = "maybe" }
redirect_to_https = { port = 0, hosts = ["*"] }
[[listeners]]
tls = { directories = "certs" }
"#,
        &[
            "node.toml:3: `localhost:80` is no address to listen on…[ADDRESS]:PORT",
            "node.toml:6: `999` is no mode of a file",
            "node.toml:7: `10.0.0.0/40` is no network",
            "clients take no notice of HSTS in the clear",
            "node.toml:10: another listener has 0.0.0.0:80 already",
            "`tls` names no certificate",
            "TLS 1.1 is not to be had",
            "`client_auth` without `client_ca` asks for nothing",
            "a listener with `tls` has nothing to redirect",
            "0 is no port",
            "`*` is no host",
            "`listen` is missing here…where to serve",
            "`directories` is a string; it must be an array of strings",
        ],
    );
}

#[test]
fn values_of_another_type_and_limits_out_of_bounds_are_refused() {
    bad(
        "limits = 5\nlisteners = {}\n",
        &["`limits` is an integer; it must be a table", "`listeners` is a table; it must be an array of tables"],
    );
    bad("[limits]\nconnections = 0\n", &["limits.connections is 0; it must lie between 1 and 10000000"]);
    bad(
        "[limits]\nconnections = -1\nidle_ms = \"1\"\n",
        &["`connections` is an integer; it must be an integer that is not negative", "`idle_ms` is a string"],
    );
    bad("[limits\n", &["this is not TOML"]);
    bad(
        "[limits]\nlisteners = 1\n[[listeners]]\nlisten = \"0.0.0.0:1\"\n[[listeners]]\nlisten = \"0.0.0.0:2\"\n",
        &["there are 2 listeners; at most 1 (listeners)"],
    );
}

#[test]
fn the_cache_may_have_a_directory() {
    assert_eq!(good("").cache_disk, None);
    let config = good("[cache]\ndisk = \"responses\"\ndisk_bytes = 2097152");
    assert_eq!(config.cache_disk.as_deref(), Some(Path::new("/etc/selvedge/responses")));
    assert_eq!((config.limits.cache_disk_bytes, config.limits.cache_disk_app_bytes), (2 << 20, 2 << 20));
    bad("[cache]\ndisk_bytes = 1", &["…`disk` is missing here…", "…cache.disk_bytes is 1; it must lie between…"]);
    bad("[cache]\ndisk = 1\ndisks = 2", &["…`disk` is an integer…", "…disks…"]);
}

#[test]
fn the_archive_may_be_copied_to_a_directory() {
    assert_eq!(good("").archive, None);
    let config = good("[archive]\ndirectory = \"../copy of \\\"it\\\"\"\n[limits]\narchive_copy_days = 400");
    let directory = ArchiveConfig::Directory("/etc/selvedge/../copy of \"it\"".into());
    assert_eq!(config.archive, Some(directory));
    let again = good(&last::text(&config.storage()));
    assert_eq!((again.archive, again.limits.archive_copy_days), (config.archive, 400));
    bad("[archive]\ndays = 1", &["…`directory` is missing here…", "…days…"]);
    bad("[limits]\narchive_days = 0\n[archive]\ndirectory = \"x\"", &["…there is no archive to copy…"]);
}

#[test]
fn the_archive_may_be_copied_to_a_bucket() {
    let least = "[archive]\nbucket = \"past\"\nendpoint = \"http://127.0.0.1:8789/\"\n";
    let expected = BucketConfig {
        endpoint: "http://127.0.0.1:8789".into(),
        bucket: "past".into(),
        region: "us-east-1".into(),
        prefix: String::new(),
        access_key: None,
        secret_file: None,
        ca: None,
    };
    assert_eq!(good(least).archive, Some(ArchiveConfig::Bucket(expected.clone())));
    let more =
        "prefix = \"/nodes/a/\"\nregion = \"eu\"\naccess_key = \"AK\"\nsecret_file = \"s3.key\"\nca = \"ca.pem\"";
    let config = good(&format!("{least}{more}"));
    let expected = BucketConfig {
        prefix: "nodes/a".into(),
        region: "eu".into(),
        access_key: Some("AK".into()),
        secret_file: Some("/etc/selvedge/s3.key".into()),
        ca: Some("/etc/selvedge/ca.pem".into()),
        ..expected
    };
    assert_eq!(config.archive, Some(ArchiveConfig::Bucket(expected)));
    assert_eq!(good(&last::text(&config.storage())).archive, config.archive);

    bad("[archive]\nbucket = \"past\"", &["…`endpoint` is missing here…"]);
    bad(&format!("{least}directory = \"x\""), &["…to a directory or to a bucket…"]);
    bad("[archive]\nbucket = \"a/b\"\nendpoint = \"https://x\"", &["…no name of a bucket…"]);
    for endpoint in ["s3.example.com", "https://x/path", "ftp://x", "https://user@x", "https://x?y"] {
        let text = format!("[archive]\nbucket = \"past\"\nendpoint = {endpoint:?}");
        bad(&text, &["…is no http or https URL of a server alone…"]);
    }
    bad("[archive]\nbucket = \"past\"\nendpoint = \"https://x\"\nsecret = \"s\"", &["…secret…"]);
}

#[test]
fn the_limits_that_a_node_leaves_are_read_as_they_were() {
    let config = good(
        "[limits]\nobject_bytes = 2_000_000\nsql_app_bytes = 5_000_000\n\n[apps.shop]\nkv_app_keys = 7\n[apps.other]\n",
    );
    let left = last::text(&config.storage());
    let again = good(&left);
    assert_eq!(last::text(&again.storage()), left);
    assert_eq!((again.limits.object_bytes, again.limits.sql_app_bytes), (2_000_000, 5_000_000));
    let shop = &again.apps[&AppName::parse("shop").expect("a name")];
    assert_eq!((shop.kv_app_keys, shop.sql_app_bytes), (7, 5_000_000));
    assert_eq!(again.apps.len(), 2);
    assert_eq!(last::text(&Storage::default()), "[limits]\n");
}
