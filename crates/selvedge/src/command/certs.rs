//! `certs`: what a node asks an authority for.

use anyhow::{Result, bail};
use control_api::{CertificateEntry, RenewRequest};

use super::{print, print_json, time};
use crate::admin::{Prepare, reach};
use crate::cli::{Certs, CertsCommand};

pub async fn run(args: Certs, json: bool) -> Result<()> {
    let (entries, renewed) = match args.command {
        CertsCommand::List(data) => (reach(&data.data, Prepare::No)?.certificates().await?, false),
        CertsCommand::Renew { host, data } => {
            let entries = reach(&data.data, Prepare::No)?.renew(RenewRequest { host: host.clone() }).await?;
            if let Some(host) = host.filter(|_| entries.is_empty()) {
                bail!("no certificate for {host} is asked of an authority; `selvedge certs list` has those that are");
            }
            (entries, true)
        }
    };
    if json {
        print_json(&serde_json::json!({ "items": entries }))?;
    } else {
        entries.iter().try_for_each(show)?;
        if entries.is_empty() {
            print("no certificate is asked of an authority")?;
        }
    }
    match entries.iter().filter(|entry| entry.problem.is_some()).count() {
        failed if renewed && failed > 0 => bail!("{failed} of {} could not be renewed", entries.len()),
        _ => Ok(()),
    }
}

fn show(entry: &CertificateEntry) -> Result<()> {
    let expires = entry.expires_ms.map_or("none yet".to_owned(), |at| format!("expires {}", time(at)));
    print(format!("{}  {expires}, next {}", entry.hosts.join(" "), time(entry.next_ms)))?;
    if let Some(problem) = &entry.problem {
        print(format!("  {problem}"))?;
    }
    Ok(())
}
