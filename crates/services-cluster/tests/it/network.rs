//! Connections without TLS, as the binary's connector makes them.

use selvedge_services_cluster::{Check, Link, LinkError, Network};
use services::BoxFuture;
use tokio::net::TcpStream;

pub struct Plain;

impl Network for Plain {
    fn connect(&self, host: &str, port: u16, check: Check) -> BoxFuture<'static, Result<Link, LinkError>> {
        let target = format!("{host}:{port}");
        Box::pin(async move {
            let unreachable = |error: std::io::Error| LinkError::Unreachable(error.to_string());
            let stream = TcpStream::connect(target).await.map_err(unreachable)?;
            let address = stream.peer_addr().map_err(unreachable)?.ip();
            check(address).map_err(LinkError::Denied)?;
            Ok(Link { stream: Box::new(stream), address })
        })
    }

    fn secure(&self, _: Link, host: &str, _: Option<&str>) -> BoxFuture<'static, Result<Link, LinkError>> {
        let reason = format!("no TLS with {host} from here");
        Box::pin(async move { Err(LinkError::Tls(reason)) })
    }
}
