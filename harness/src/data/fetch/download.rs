//! Downloads a file over HTTPS and resumes from where an earlier attempt ended.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use bitreq::ResponseLazy;

use super::request::{FetchEvent, OnFetchEvent};
use crate::error::{Error, Result};

/// Number of consecutive attempts without a single byte after which the download fails.
const FRUITLESS_ATTEMPTS: u32 = 4;

/// Time limit of the first attempt, which ends a stalled connection. The next attempt resumes from there. Each attempt gets twice
/// the time of the one before, so that a download also completes from a server that cannot resume.
const FIRST_ATTEMPT: Duration = Duration::from_secs(180);

const MAX_REDIRECTS: usize = 5;

/// Environment variable for the program's tests: allows plain HTTP to the local machine.
const PLAIN_HTTP_ON_LOOPBACK: &str = "VITBENCH_TEST_PLAIN_HTTP_ON_LOOPBACK";

const HELP: &str =
    "check the address and the network, or download the archive some other way and pass it with --from FILE";

/// What is known about a file before it is downloaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Its length in bytes, if known.
    pub(super) bytes: Option<u64>,
    /// The greatest length in bytes that the right file can have.
    pub(super) at_most: u64,
}

/// Why an attempt ended early.
enum Failure {
    /// A temporary failure: the next attempt may resume from here.
    Passing(String),
    /// Trying again would not help.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Downloads `url` to the file `part`, resuming after the bytes that it already holds.
///
/// # Errors
/// Fails if the URL does not use HTTPS, the server refuses the request, the connection keeps failing, the length is wrong, or the
/// file cannot be written. The bytes received so far stay in `part` if a later attempt can use them.
pub(super) fn download(url: &str, part: &Path, expected: Expected, on_event: &mut OnFetchEvent<'_>) -> Result<()> {
    check_address(url, url)?;
    let mut file =
        OpenOptions::new().create(true).read(true).append(true).open(part).map_err(Error::io("open", part))?;
    let mut transfer = Transfer { url, part, expected, validator: None, time: FIRST_ATTEMPT };
    let mut fruitless = 0;
    loop {
        let before = length(&file, part)?;
        if expected.bytes == Some(before) {
            return Ok(());
        }
        let reason = match transfer.attempt(&mut file, on_event) {
            Ok(()) => return Ok(()),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(reason)) => reason,
        };
        fruitless = if length(&file, part)? > before { 0 } else { fruitless + 1 };
        if fruitless == FRUITLESS_ATTEMPTS {
            return Err(Error::input(
                url,
                format!("{FRUITLESS_ATTEMPTS} attempts in a row failed; the last error was: {reason}"),
                HELP,
            ));
        }
        on_event(FetchEvent::Retrying(reason));
        std::thread::sleep(Duration::from_millis(200) * 2_u32.pow(fruitless));
        transfer.time *= 2;
    }
}

fn length(file: &File, part: &Path) -> Result<u64> {
    file.metadata().map(|about| about.len()).map_err(Error::io("read", part))
}

/// Returns an error unless the URL uses HTTPS. `place` is the URL that the user asked for.
fn check_address(place: &str, url: &str) -> Result<()> {
    let parsed =
        bitreq::Url::parse(url).map_err(|error| Error::input(place, format!("is not a URL: {error}"), HELP))?;
    let on_loopback = matches!(parsed.base_url(), "127.0.0.1" | "localhost" | "[::1]");
    let tested = cfg!(test) || std::env::var_os(PLAIN_HTTP_ON_LOOPBACK).is_some();
    if parsed.scheme() == "https" || (on_loopback && tested) {
        return Ok(());
    }
    let problem = match place == url {
        true => "does not use HTTPS".to_owned(),
        false => format!("redirects to `{url}`, which does not use HTTPS"),
    };
    Err(Error::input(
        place,
        problem,
        "use an https:// URL, or download the archive some other way and pass it with --from FILE",
    ))
}

struct Transfer<'a> {
    url: &'a str,
    part: &'a Path,
    expected: Expected,
    /// The ETag of the content when this transfer began, which tells whether the content has changed since.
    validator: Option<String>,
    /// How long the next attempt may take.
    time: Duration,
}

impl Transfer<'_> {
    /// Sends one request and writes the response to the file.
    fn attempt(&mut self, file: &mut File, on_event: &mut OnFetchEvent<'_>) -> Result<(), Failure> {
        let there = length(file, self.part)?;
        let answer = self.ask(there)?;
        let header = |name: &str| answer.headers.get(name).map(String::as_str);
        let (start, total) = match answer.status_code {
            200 => (0, header("content-length").and_then(|length| length.trim().parse().ok())),
            206 => content_range(header("content-range"))
                .filter(|(start, _)| *start == there)
                .ok_or_else(|| self.refused("the server sent a different range from the one requested".into()))?,
            416 if there > 0 => {
                let total =
                    header("content-range").and_then(|range| range.trim().strip_prefix("bytes */")?.parse().ok());
                if total == Some(there) {
                    return Ok(());
                }
                self.truncate(file)?;
                return Err(Failure::Passing("the partial download is longer than the file".into()));
            }
            429 | 500.. => return Err(Failure::Passing(format!("the server returned {}", status(&answer)))),
            _ => return Err(self.refused(format!("the server returned {}", status(&answer))).into()),
        };
        self.check_total(total)?;
        self.validator = header("etag").filter(|tag| !tag.starts_with("W/")).map(str::to_owned);
        if start == 0 && there > 0 {
            self.truncate(file)?;
        }
        self.receive(answer, start, total, file, on_event)
    }

    fn ask(&self, there: u64) -> Result<ResponseLazy, Failure> {
        let mut request = bitreq::get(self.url)
            .with_header("Accept-Encoding", "identity")
            .with_header("User-Agent", concat!("vitbench/", env!("CARGO_PKG_VERSION")))
            .with_max_redirects(MAX_REDIRECTS)
            .with_max_body_size(None)
            .with_timeout(self.time);
        if there > 0 {
            request = request.with_header("Range", format!("bytes={there}-"));
            if let Some(validator) = &self.validator {
                request = request.with_header("If-Range", validator);
            }
        }
        let answer = request.send_lazy().map_err(|error| match error {
            bitreq::Error::IoError(error) => Failure::Passing(error.to_string()),
            error @ bitreq::Error::AddressNotFound => Failure::Passing(error.to_string()),
            error => Failure::Final(self.refused(error.to_string())),
        })?;
        // The content is checked against a digest, wherever it comes from. A redirect must use HTTPS all the same.
        check_address(self.url, if answer.url.is_empty() { self.url } else { &answer.url })?;
        Ok(answer)
    }

    fn check_total(&self, total: Option<u64>) -> Result<()> {
        let Expected { bytes, at_most } = self.expected;
        match (total, bytes) {
            (Some(total), Some(bytes)) if total != bytes => {
                Err(Error::damaged(self.url, format!("the server offers {total} bytes, expected {bytes}"), HELP))
            }
            (Some(total), _) if total > at_most => Err(Error::damaged(
                self.url,
                format!("the server offers {total} bytes, expected at most {at_most}"),
                HELP,
            )),
            _ => Ok(()),
        }
    }

    fn receive(
        &self,
        mut answer: ResponseLazy,
        start: u64,
        total: Option<u64>,
        file: &mut File,
        on_event: &mut OnFetchEvent<'_>,
    ) -> Result<(), Failure> {
        let total = total.or(self.expected.bytes);
        let (mut done, mut told) = (start, Instant::now());
        let mut buffer = vec![0; 1 << 16];
        on_event(FetchEvent::Downloading { done, total });
        loop {
            let read = answer.read(&mut buffer).map_err(|error| Failure::Passing(error.to_string()))?;
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).map_err(Error::io("write", self.part))?;
            done += read as u64;
            if done > self.expected.at_most {
                self.truncate(file)?;
                let problem = format!("the server sent more than {} bytes", self.expected.at_most);
                return Err(Error::damaged(self.url, problem, HELP).into());
            }
            if told.elapsed() > Duration::from_millis(100) {
                on_event(FetchEvent::Downloading { done, total });
                told = Instant::now();
            }
        }
        on_event(FetchEvent::Downloading { done, total });
        match total {
            Some(total) if done < total => {
                Err(Failure::Passing(format!("the connection ended after {done} of {total} bytes")))
            }
            _ => Ok(()),
        }
    }

    fn truncate(&self, file: &mut File) -> Result<()> {
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(Error::io("write", self.part)).map(drop)
    }

    fn refused(&self, problem: String) -> Error {
        Error::input(self.url, problem, HELP)
    }
}

fn status(answer: &ResponseLazy) -> String {
    format!("{} {}", answer.status_code, answer.reason_phrase.trim())
}

/// Parses a `Content-Range` header: `bytes 100-199/200` starts at byte 100, and the whole file has 200 bytes.
fn content_range(header: Option<&str>) -> Option<(u64, Option<u64>)> {
    let (range, total) = header?.trim().strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}
