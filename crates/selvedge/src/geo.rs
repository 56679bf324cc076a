//! The countries of addresses: a database in MaxMind's format (`.mmdb`), read once into memory.
//!
//! Any that has `country.iso_code` for a network will do. An address that is in none has no country, and
//! so has one whose record is damaged: a route that asks for a country then does not match.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::Result;
use edge::Countries;
use manifest::SourceFile;
use maxminddb::{Reader, path};

use crate::config::{CountriesFile, Misconfigured};

/// Reads the file.
pub fn open(named: CountriesFile, file: Option<&SourceFile>) -> Result<Countries> {
    let wrong = |why: String| {
        let message = format!("the database of countries at {} can't be used: {why}", named.path.display());
        Misconfigured(Misconfigured::at(file, &named.span, message, "name a file in MaxMind's format, .mmdb").into())
    };
    let bytes = std::fs::read(&named.path).map_err(|error| wrong(error.to_string()))?;
    let reader = Reader::from_source(bytes).map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(move |address| country(&reader, address)))
}

fn country(reader: &Reader<Vec<u8>>, address: IpAddr) -> Option<String> {
    let found = reader.lookup(address).ok()?;
    found.decode_path::<String>(&path!["country", "iso_code"]).ok()?
}
