//! The page's files. All but `/` have the version of the whole in their path, so a page never mixes the parts of two
//! versions, and a browser need not ask again for what it has.
//!
//! A release build holds the files as the build script prepared them; a debug build reads them from `web/`, so that a
//! change needs no build.

#[cfg(not(embedded_page))]
mod prepare;

use std::borrow::Cow;
use std::future::{Ready, ready};
use std::io::{self, Cursor, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE,
    LAST_MODIFIED,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
#[cfg(not(embedded_page))]
use flate2::{Compression, read::GzEncoder};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend, File, Metadata};

#[cfg(embedded_page)]
mod embedded {
    use std::borrow::Cow;

    include!(concat!(env!("OUT_DIR"), "/page.rs"));
}
#[cfg(embedded_page)]
pub use embedded::folder;
#[cfg(embedded_page)]
use embedded::{file, version};

/// The files that the login needs.
const PUBLIC: [&str; 3] = ["style.css", "login.css", "login.js"];

/// Bytes of a file that are sent at once: all of most files.
const READ_BUFFER: usize = 16 * 1024;

/// The page itself is asked for every time; what its files are never changes under their paths.
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const IMMUTABLE: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");

/// The routes of `/`, of its worker and of the page's files. Documents have this content security policy.
pub fn router(policy: HeaderValue) -> Router {
    let files = ServeDir::with_backend("", Files)
        .precompressed_gzip()
        .with_buf_chunk_size(READ_BUFFER)
        .ignore_multi_range_requests(true);
    Router::new()
        .route_service("/", files.clone())
        // A browser asks for it again under the same path, and it answers for what is below that.
        .route_service("/worker.js", files.clone())
        .route_service("/assets/{*path}", files)
        .layer(middleware::from_fn_with_state(policy, add_headers))
}

/// Whether a path is that of a file that needs no password.
pub fn is_public(path: &str) -> bool {
    let name = path.strip_prefix('/').and_then(current);
    name.is_some_and(|name| PUBLIC.contains(&name.as_str()))
}

/// The path of the files of this version, relative to `/`.
#[cfg(not(embedded_page))]
pub fn folder() -> String {
    prepare::folder(version())
}

#[cfg(not(embedded_page))]
fn sources() -> prepare::WebFolder {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/web");
    prepare::WebFolder::read(Path::new(folder))
        .expect("a debug build reads the page from its sources")
}

#[cfg(not(embedded_page))]
fn version() -> u64 {
    sources().version
}

#[cfg(not(embedded_page))]
fn file(name: &str) -> Option<Cow<'static, [u8]>> {
    sources().prepare(name, gzip).map(Cow::Owned)
}

#[cfg(not(embedded_page))]
fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;

    let mut compressed = Vec::new();
    GzEncoder::new(bytes, Compression::best())
        .read_to_end(&mut compressed)
        .expect("memory takes all that is written");
    compressed
}

/// The name of a file of this version in `web/`, by its path.
fn current(path: &str) -> Option<String> {
    let name = path.strip_prefix(&folder())?.strip_prefix('/')?;
    Some(name.into())
}

async fn add_headers(
    State(policy): State<HeaderValue>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_asked_again = matches!(request.uri().path(), "/" | "/worker.js");
    // The tag alone says whether a file has changed; see `Facts::modified`.
    request.headers_mut().remove(IF_MODIFIED_SINCE);
    let mut response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        return (StatusCode::NOT_FOUND, "There is no such page here.\n").into_response();
    }
    let status = response.status();
    let is_file = status.is_success() || status == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_document =
        kind.is_none_or(|kind| kind.starts_with(b"text/html") || kind.starts_with(b"image/svg"));
    headers.remove(LAST_MODIFIED);
    if is_asked_again {
        headers.insert(CACHE_CONTROL, NO_CACHE);
    } else if is_file {
        headers.insert(CACHE_CONTROL, IMMUTABLE);
        // A browser does not ask again for what never changes, nor for a part of so little.
        headers.remove(ETAG);
        headers.remove(ACCEPT_RANGES);
    }
    // Browsers apply the policy to documents only; on every script it would add 3 KB to each load.
    if is_document {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The page's files by their paths, for the library that knows the rules of HTTP.
#[derive(Clone)]
struct Files;

impl Files {
    fn find(path: &Path) -> io::Result<Found> {
        let path = path.strip_prefix(".").unwrap_or(path);
        let path = path.to_str().unwrap_or_default();
        let content = match path {
            "" => Some(Cow::default()),
            "index.html" | "index.html.gz" | "worker.js" | "worker.js.gz" => file(path),
            path => current(path).and_then(|name| file(&name)),
        };
        let content = content.ok_or(io::ErrorKind::NotFound)?;
        Ok(Found {
            is_folder: path.is_empty(),
            content: Cursor::new(content),
        })
    }
}

impl Backend for Files {
    type File = Found;
    type Metadata = Facts;
    type OpenFuture = Ready<io::Result<Found>>;
    type MetadataFuture = Ready<io::Result<Facts>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        ready(Files::find(&path))
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        ready(Files::find(&path).map(|found| found.facts()))
    }
}

/// A file of the page, or the folder of all.
struct Found {
    is_folder: bool,
    content: Cursor<Cow<'static, [u8]>>,
}

/// What the library asks about a file.
struct Facts {
    is_folder: bool,
    size: u64,
}

impl Found {
    fn facts(&self) -> Facts {
        Facts {
            is_folder: self.is_folder,
            size: self.content.get_ref().len() as u64,
        }
    }
}

impl Metadata for Facts {
    fn is_dir(&self) -> bool {
        self.is_folder
    }

    /// Stands for the version: the library makes the tag of this and the size. The times of the files themselves may be
    /// the same in two builds.
    fn modified(&self) -> io::Result<SystemTime> {
        // No more than 37 years, so that it is in the past.
        Ok(SystemTime::UNIX_EPOCH + Duration::from_nanos(version() >> 4))
    }

    fn len(&self) -> u64 {
        self.size
    }
}

impl File for Found {
    type Metadata = Facts;
    type MetadataFuture<'a> = Ready<io::Result<Facts>>;

    fn metadata(&self) -> Self::MetadataFuture<'_> {
        ready(Ok(self.facts()))
    }
}

impl AsyncRead for Found {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.content).poll_read(context, buffer)
    }
}

impl AsyncSeek for Found {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        Pin::new(&mut self.content).start_seek(position)
    }

    fn poll_complete(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(&mut self.content).poll_complete(context)
    }
}
