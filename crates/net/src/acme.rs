//! Getting a certificate from an authority that speaks ACME (RFC 8555).
//!
//! One function, [`Authority::obtain`], goes the whole way: the account, the order, a proof for
//! each host, the certificate. When to do so, where to keep what comes of it and what to do after a
//! failure is the caller's to decide. Proofs by HTTP-01 and TLS-ALPN-01 are given by the node's own
//! listeners ([`Challenges`]); for DNS-01 the caller changes a record.
//!
//! Requests go through the node's [`Connector`], whose trusted certificates may be more than the
//! system's.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base::{Body, Secret};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, BodyWrapper, BytesResponse, ChallengeType, Error,
    ExternalAccountKey, HttpClient, Identifier, NewAccount, NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use url::Url;

use crate::tls::managed::{Answer, Challenges, Issued};
use crate::{Connector, Outgoing};

/// More than any answer of an authority has.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How a host is proven to be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    Http,
    TlsAlpn,
    Dns,
}

/// Changes the record of a host: its name, its value, and whether it is to be there.
pub type SetRecord =
    Arc<dyn Fn(String, String, bool) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// An account with somebody that this one is bound to (RFC 8555, section 7.3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalAccount {
    pub id: String,
    pub key: Secret<Vec<u8>>,
}

/// An authority, and how it is dealt with.
#[derive(Clone)]
pub struct Authority {
    pub directory: String,
    pub contact: Vec<String>,
    pub external: Option<ExternalAccount>,
    pub proof: Proof,
    pub set_record: Option<SetRecord>,
    pub connector: Arc<Connector>,
    pub challenges: Arc<Challenges>,
    /// How long it may take to look at the proofs, and to issue.
    pub patience: Duration,
}

/// What came of an order.
#[derive(Debug)]
pub struct Obtained {
    pub issued: Issued,
    /// The account, if it was made on the way: to be kept, and given the next time.
    pub account: Option<Secret<String>>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    #[error(transparent)]
    Authority(#[from] Error),
    #[error("the authority does not take this kind of proof for {0}")]
    NotOffered(String),
    #[error("the authority does not find {host} here: {reason}")]
    NotProven { host: String, reason: String },
    #[error("the record of {host} could not be changed: {reason}")]
    Record { host: String, reason: String },
    #[error("what the authority issued can't be used: {0}")]
    Unusable(String),
}

impl Authority {
    /// Gets a certificate for these hosts. `account` is what an earlier call gave.
    pub async fn obtain(&self, account: Option<&Secret<String>>, hosts: &[String]) -> Result<Obtained, AcmeError> {
        let (account, fresh) = self.account(account).await?;
        let identifiers: Vec<Identifier> = hosts.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
        let mut answers = Answers { of: Vec::new(), records: Vec::new() };
        let proven = self.prove(&mut order, &mut answers).await;
        let issued = match proven {
            Ok(()) => self.finish(&mut order, hosts).await,
            Err(error) => Err(error),
        };
        self.tidy(answers).await;
        Ok(Obtained { issued: issued?, account: fresh })
    }

    async fn account(&self, known: Option<&Secret<String>>) -> Result<(Account, Option<Secret<String>>), AcmeError> {
        let builder = || Account::builder_with_http(Box::new(Via(self.connector.clone())));
        let known = known.and_then(|known| serde_json::from_str::<AccountCredentials>(known.expose()).ok());
        if let Some(credentials) = known {
            return Ok((builder().from_credentials(credentials).await?, None));
        }
        let contact: Vec<&str> = self.contact.iter().map(String::as_str).collect();
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let external = self.external.as_ref().map(|ext| ExternalAccountKey::new(ext.id.clone(), ext.key.expose()));
        let (account, credentials) = builder().create(&new, self.directory.clone(), external.as_ref()).await?;
        let kept = serde_json::to_string(&credentials).map_err(|error| AcmeError::Unusable(error.to_string()))?;
        Ok((account, Some(Secret::new(kept))))
    }

    /// Gives every proof that is asked for, and waits until the authority has looked.
    async fn prove(&self, order: &mut Order, answers: &mut Answers) -> Result<(), AcmeError> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let kind = match self.proof {
                Proof::Http => ChallengeType::Http01,
                Proof::TlsAlpn => ChallengeType::TlsAlpn01,
                Proof::Dns => ChallengeType::Dns01,
            };
            let shown = authorization.identifier().to_string();
            let challenge = authorization.challenge(kind);
            let mut challenge = challenge.ok_or_else(|| AcmeError::NotOffered(shown.clone()))?;
            let host = shown.strip_prefix("*.").unwrap_or(&shown).to_owned();
            let authorization = challenge.key_authorization();
            match self.proof {
                Proof::Http => {
                    answers.of.push(self.challenges.answer_http(&challenge.token, authorization.as_str()));
                }
                Proof::TlsAlpn => {
                    let answer = self.challenges.answer_alpn(&host, authorization.digest().as_ref());
                    answers.of.push(answer.map_err(AcmeError::Unusable)?);
                }
                Proof::Dns => {
                    let record = (format!("_acme-challenge.{host}"), authorization.dns_value());
                    // Taken away again even if it was only half there.
                    answers.records.push(record.clone());
                    self.record(record, true).await.map_err(|reason| AcmeError::Record { host, reason })?;
                }
            }
            challenge.set_ready().await.map_err(|error| match error {
                Error::Api(problem) => AcmeError::NotProven { host: shown, reason: reason(&problem) },
                error => error.into(),
            })?;
        }
        let retry = RetryPolicy::new().timeout(self.patience);
        match order.poll_ready(&retry).await {
            Ok(OrderStatus::Ready | OrderStatus::Valid) => Ok(()),
            Ok(_) | Err(Error::Api(_)) => Err(why_not(order).await),
            Err(error) => Err(error.into()),
        }
    }

    async fn record(&self, (name, value): (String, String), there: bool) -> Result<(), String> {
        match &self.set_record {
            Some(set) => set(name, value, there).await,
            None => Err("nobody changes records here".to_owned()),
        }
    }

    async fn finish(&self, order: &mut Order, hosts: &[String]) -> Result<Issued, AcmeError> {
        let unusable = |error: rcgen::Error| AcmeError::Unusable(error.to_string());
        let key = KeyPair::generate().map_err(unusable)?;
        let mut params = CertificateParams::new(hosts).map_err(unusable)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(unusable)?;
        order.finalize_csr(request.der()).await?;
        let chain_pem = order.poll_certificate(&RetryPolicy::new().timeout(self.patience)).await?;
        let issued = Issued { chain_pem, key_pem: Secret::new(key.serialize_pem()) };
        issued.term().map_err(AcmeError::Unusable)?;
        Ok(issued)
    }

    async fn tidy(&self, answers: Answers) {
        for record in answers.records {
            let name = record.0.clone();
            if let Err(reason) = self.record(record, false).await {
                tracing::warn!("the record {name} was not taken away: {reason}");
            }
        }
    }
}

/// What stands for the authority to see.
struct Answers {
    of: Vec<Answer>,
    records: Vec<(String, String)>,
}

/// What the authority says of the first host that it did not find.
async fn why_not(order: &mut Order) -> AcmeError {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let host = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else { continue };
        let failed = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = failed {
            return AcmeError::NotProven { host, reason: reason(problem) };
        }
    }
    AcmeError::Unusable("it gave up the order without saying why".to_owned())
}

fn reason(problem: &Problem) -> String {
    problem.detail.clone().unwrap_or_else(|| problem.to_string())
}

/// The client's way out.
struct Via(Arc<Connector>);

impl HttpClient for Via {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let connector = self.0.clone();
        Box::pin(async move {
            let other = |error: Box<dyn std::error::Error + Send + Sync>| Error::Other(error);
            let (parts, body) = request.into_parts();
            let url = Url::parse(&parts.uri.to_string()).map_err(|error| other(Box::new(error)))?;
            let Ok(body) = body.collect().await;
            let body = Body::full(body.to_bytes());
            let outgoing = Outgoing { method: parts.method, url, headers: parts.headers, body };
            // The operator named the authority; it may be anywhere.
            let response = connector.exchange(outgoing, Arc::new(|_| Ok(()))).await;
            let (parts, body) = response.map_err(|error| other(Box::new(error)))?.into_parts();
            let body = body.collect(ANSWER_BYTES_MAX).await.map_err(|error| other(Box::new(error)))?;
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}
