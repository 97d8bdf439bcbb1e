//! Answers requests for files. Reads no file, and no connection.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, LOCATION, RANGE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use polyexec::unblock;

use crate::body::{self, Body};
use crate::folder::{Folder, Found, Opened};
use crate::range::{Asked, asked};
use crate::support::cli;
use crate::target::Target;

/// The file that stands for a folder.
const INDEX: &str = "index.html";

/// Too many open files, in the system or in this process: `ENFILE` and `EMFILE`, with their numbers on all Unix systems.
const TOO_MANY: [i32; 2] = [23, 24];

/// A cycle of links, `ELOOP`: counts as missing.
const LOOP: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 40 } else { 62 };

/// After how many seconds a client may retry if the server is out of file descriptors.
const LATER: HeaderValue = HeaderValue::from_static("1");

/// Answers `request`. Leaves its body to hyper.
pub(crate) async fn answer(request: Request<Incoming>, folder: Arc<Folder>) -> Result<Response<Body>, Infallible> {
    let head = request.method() == Method::HEAD;
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => find(&request, folder).await.unwrap_or_else(Problem::into_response),
        _ => {
            let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
    };
    if head {
        // The head states the length that the body would have.
        *response.body_mut() = body::empty();
    }
    Ok(response)
}

async fn find(request: &Request<Incoming>, folder: Arc<Folder>) -> Result<Response<Body>, Problem> {
    let target = Target::parse(request.uri().path())?;
    let mut path = target.path.clone();
    if target.folder {
        path.push(INDEX);
    }
    let looked_for = path.clone();
    match unblock(move || folder.find(&looked_for)).await? {
        Found::Folder if target.folder => Err(StatusCode::NOT_FOUND.into()),
        // Otherwise relative links on its page would be resolved against the parent folder.
        Found::Folder => {
            let mut response = status(StatusCode::MOVED_PERMANENTLY);
            response.headers_mut().insert(LOCATION, value(target.as_folder()));
            Ok(response)
        }
        Found::File(opened) => {
            let ranges = request.method() == Method::GET;
            let mut response = file(opened, request.headers(), ranges);
            if response.status() != StatusCode::RANGE_NOT_SATISFIABLE {
                let kind = mime_guess::from_path(&path).first_or_octet_stream();
                let charset = if kind.type_() == "text" { "; charset=utf-8" } else { "" };
                response.headers_mut().insert(CONTENT_TYPE, value(format!("{kind}{charset}")));
            }
            Ok(response)
        }
    }
}

/// Answers with the file, or with `ranges` its requested part, unless the client has it already.
fn file(Opened { file, length, modified }: Opened, request: &HeaderMap, ranges: bool) -> Response<Body> {
    let modified = modified.map(whole_seconds);
    let mut response = Response::new(body::empty());
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(modified) = modified {
        headers.insert(LAST_MODIFIED, value(httpdate::fmt_http_date(modified)));
        // A tag takes precedence over a date (RFC 9110, 13.1.3), and no file here has one.
        let since = if request.contains_key(IF_NONE_MATCH) { None } else { date(request, IF_MODIFIED_SINCE) };
        if since.is_some_and(|since| modified <= since) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
    }
    // A part of a changed file would not match the client's other parts.
    let same = !request.contains_key(IF_RANGE) || (modified.is_some() && date(request, IF_RANGE) == modified);
    let range = if ranges && same { text(request, RANGE) } else { None };
    let part = match asked(range, length) {
        Asked::Whole => 0..length,
        Asked::Part(part) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            response.headers_mut().insert(CONTENT_RANGE, value(range));
            part
        }
        Asked::Nothing => {
            let mut response = status(StatusCode::RANGE_NOT_SATISFIABLE);
            response.headers_mut().insert(CONTENT_RANGE, value(format!("bytes */{length}")));
            return response;
        }
    };
    response.headers_mut().insert(CONTENT_LENGTH, (part.end - part.start).into());
    *response.body_mut() = body::part_of(file, part);
    response
}

/// Why the response has no file.
struct Problem {
    status: StatusCode,
}

impl From<StatusCode> for Problem {
    fn from(status: StatusCode) -> Self {
        Self { status }
    }
}

impl From<io::Error> for Problem {
    /// Missing files, unreadable ones and those outside of the folder get the same response: so a client learns nothing of the
    /// outside.
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied};
        let status = match error.kind() {
            _ if error.raw_os_error() == Some(LOOP) => StatusCode::NOT_FOUND,
            NotFound | PermissionDenied | NotADirectory | IsADirectory | InvalidInput | InvalidFilename => {
                StatusCode::NOT_FOUND
            }
            _ => {
                cli::report(format_args!("can't open a file: {error}"));
                match error.raw_os_error() {
                    Some(number) if TOO_MANY.contains(&number) => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                }
            }
        };
        Self { status }
    }
}

impl Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = status(self.status);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, LATER);
        }
        response
    }
}

/// A response that consists of its status.
fn status(status: StatusCode) -> Response<Body> {
    let line = format!("{status}\n");
    let length = line.len();
    let mut response = Response::new(body::text(line));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, name)?).ok()
}

/// Formats a date for a header. Dates outside of the valid range become the earliest one.
fn whole_seconds(time: SystemTime) -> SystemTime {
    /// The end of the year 9999, beyond which httpdate panics.
    const END: u64 = 253_402_300_800;
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    SystemTime::UNIX_EPOCH + Duration::from_secs(if seconds < END { seconds } else { 0 })
}

/// A header value from text without control characters.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("visible characters")
}
