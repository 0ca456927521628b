//! Requests to the REST API of a running service.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::time::timeout;

use super::endpoint::{Endpoint, ServiceArgs};
use crate::platform::tls::ClientStream;
use crate::protocol::NO_SUCH_PATH;

/// Longest answer in bytes: a backup, or what was restored.
const MAX_ANSWER: usize = 1 << 20;
/// Longest time until the whole answer is there. The service waits for its disk for 5 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Why the service refuses a request.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// Sends a request to a route, and returns the body of its answer.
///
/// # Errors
/// The service cannot be reached, has no such route, or refuses the request.
pub async fn request(
    service: &ServiceArgs,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> anyhow::Result<Vec<u8>> {
    let endpoint = Endpoint::new(service)?;
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = endpoint.path(path).parse()?;
    let host = HeaderValue::from_str(endpoint.host())?;
    let password = endpoint.authorization.clone();
    let password = password.map(|password| (AUTHORIZATION, password));
    request
        .headers_mut()
        .extend([(HOST, host)].into_iter().chain(password));

    let stream = endpoint.reach(endpoint.connect()).await?;
    let exchanged = timeout(ANSWER_TIMEOUT, exchange(stream, request)).await;
    let url = &endpoint.url;
    let (status, body) = exchanged
        .map_err(|_| anyhow!("{url} does not answer"))?
        .with_context(|| format!("the connection to {url} broke"))?;
    match status {
        StatusCode::OK => Ok(body),
        _ => match serde_json::from_slice(&body) {
            Ok(Refusal { error })
                if error != NO_SUCH_PATH && status != StatusCode::UNAUTHORIZED =>
            {
                bail!(error)
            }
            _ if status == StatusCode::NOT_FOUND => {
                bail!("{url} is too old for {path}, or is no dimmer")
            }
            _ => Err(endpoint.refusal(status, &body)),
        },
    }
}

/// Sends a request, and reads the answer to its end.
async fn exchange(
    stream: Box<dyn ClientStream>,
    request: Request<Body>,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = to_bytes(Body::new(answer.into_body()), MAX_ANSWER).await?;
        anyhow::Ok((status, body.into()))
    };
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    // The answer comes as long as the connection is driven, which may end before it is read.
    tokio::select! {
        answer = &mut exchange => return answer,
        ended = &mut connection => ended?,
    }
    exchange.await
}
