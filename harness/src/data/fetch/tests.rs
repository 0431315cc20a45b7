//! Tests fetching against a local server, with broken connections, damaged archives, concurrent processes and a full disk.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::place::Place;
use super::*;
use crate::data::cifar::{TINY, three_records};

/// A server's response to a request.
struct Answer {
    head: String,
    body: Vec<u8>,
}

/// A local server that responds as the test specifies and records the requests.
struct Server {
    url: String,
    /// The `Range` header of every request, empty if it had none.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer` receives the number of the request, its path, and the start of the requested range.
    fn start(answer: impl Fn(usize, &str, Option<usize>) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/tiny.tar.gz", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (path, range) = read_request(&stream);
                let number = seen.lock().unwrap().len();
                seen.lock().unwrap().push(range.clone().unwrap_or_default());
                let start = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
                let Answer { head, body } = answer(number, &path, start);
                let _ = write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n")
                    .and_then(|()| stream.write_all(&body));
            }
        });
        Self { url, asked }
    }

    /// A server that sends this content, or the requested range of it.
    fn of(content: Vec<u8>) -> Self {
        Self::start(move |_, _, start| whole_or_part(&content, start))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn read_request(stream: &TcpStream) -> (String, Option<String>) {
    let (mut path, mut range) = (String::new(), None);
    for line in BufReader::new(stream).lines().map_while(|line| line.ok().filter(|line| !line.is_empty())) {
        if let Some(rest) = line.strip_prefix("GET ") {
            path = rest.split(' ').next().unwrap().to_owned();
        } else if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("range")
        {
            range = Some(value.to_owned());
        }
    }
    (path, range)
}

fn whole_or_part(content: &[u8], start: Option<usize>) -> Answer {
    let total = content.len();
    match start {
        None => Answer { head: format!("200 OK\r\nContent-Length: {total}"), body: content.to_vec() },
        Some(start) if start >= total => {
            Answer { head: format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{total}"), body: Vec::new() }
        }
        Some(start) => Answer {
            head: format!(
                "206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {start}-{}/{total}",
                total - start,
                total - 1
            ),
            body: content[start..].to_vec(),
        },
    }
}

/// An archive of the tiny dataset with these bytes as its test file.
fn archive_of(test: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::none()));
    for (name, content) in
        [("tiny-bin/readme.html", &b"hello"[..]), ("tiny-bin/train.bin", &three_records()), ("tiny-bin/test.bin", test)]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, name, content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn archive() -> Vec<u8> {
    archive_of(&three_records())
}

fn fetch_tiny(from: &str, folder: &Path) -> (Result<Fetched>, Vec<FetchEvent>) {
    let mut events = Vec::new();
    let outcome = cifar::fetch(&TINY, Some(from), folder, &mut |event| events.push(event));
    (outcome, events)
}

/// The sorted names in a folder, without the lock file, which always stays.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.filter(|name| name != ".tiny.lock").collect();
    names.sort();
    names
}

fn assert_fetched(folder: &Path) {
    assert_eq!(names(folder), ["tiny"]);
    assert_eq!(names(&folder.join("tiny")), ["test.bin", "train.bin"]);
    for name in ["test.bin", "train.bin"] {
        assert_eq!(fs::read(folder.join("tiny").join(name)).unwrap(), three_records());
    }
}

/// The error message of a failed fetch and the names it left behind, after checking that only partial downloads remain.
fn failure(from: &str, damaged: bool) -> (String, Vec<String>) {
    let folder = TempDir::new().unwrap();
    let error = fetch_tiny(from, folder.path()).0.unwrap_err();
    assert_eq!(matches!(error, Error::Damaged { .. }), damaged, "{error}");
    let left = names(folder.path());
    assert!(left.iter().all(|name| name.ends_with(".part")), "{left:?}");
    (error.to_string(), left)
}

#[test]
fn what_was_fetched_is_not_fetched_again() {
    let (folder, server) = (TempDir::new().unwrap(), Server::of(archive()));
    let (first, events) = fetch_tiny(&server.url, folder.path());
    let total = archive().len() as u64;
    assert!(!first.as_ref().unwrap().was_there);
    assert_eq!(first.unwrap().contents, "6 images of 2 classes");
    assert!(events.contains(&FetchEvent::Downloading { done: 0, total: Some(total) }), "{events:?}");
    assert_eq!(events.last(), Some(&FetchEvent::Unpacking { done: 18_438, total: 18_438 }));
    assert_fetched(folder.path());
    assert!(fetch_tiny(&server.url, folder.path()).0.unwrap().was_there);
    assert_eq!(server.asked(), [""]);
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_ended() {
    let content = archive();
    let server = Server::start(move |number, _, start| {
        let mut answer = whole_or_part(&content, start);
        if number < 3 {
            answer.body.truncate(5000);
        }
        answer
    });
    let folder = TempDir::new().unwrap();
    let (outcome, events) = fetch_tiny(&server.url, folder.path());
    outcome.unwrap();
    assert_fetched(folder.path());
    assert_eq!(server.asked(), ["", "bytes=5000-", "bytes=10000-", "bytes=15000-"]);
    let retries = events.iter().filter(|event| matches!(event, FetchEvent::Retrying(_))).count();
    assert_eq!(retries, 3);
}

#[test]
fn a_server_that_knows_no_ranges_is_asked_for_all_of_it_again() {
    let content = archive();
    let server = Server::start(move |number, _, _| {
        let mut answer = whole_or_part(&content, None);
        answer.body.truncate(if number == 0 { 5000 } else { usize::MAX });
        answer
    });
    let folder = TempDir::new().unwrap();
    fetch_tiny(&server.url, folder.path()).0.unwrap();
    assert_fetched(folder.path());
    assert_eq!(server.asked(), ["", "bytes=5000-"]);
}

#[test]
fn a_beginning_of_another_archive_costs_a_second_try() {
    let (folder, server) = (TempDir::new().unwrap(), Server::of(archive()));
    let part = Place::hold(folder.path(), "tiny", &mut |_| ()).unwrap().download_path(&server.url);
    fs::write(&part, vec![7; 4000]).unwrap();
    fetch_tiny(&server.url, folder.path()).0.unwrap();
    assert_fetched(folder.path());
    assert_eq!(server.asked(), ["bytes=4000-", ""]);
}

#[test]
fn wrong_lengths_are_refused() {
    let content = archive();
    let promise = content.len() + 1;
    let server = Server::start(move |_, _, start| match start {
        None => Answer { head: format!("200 OK\r\nContent-Length: {promise}"), body: content.clone() },
        Some(_) => Answer { head: "206 Partial Content\r\nContent-Range: bytes 1-2/3".into(), body: Vec::new() },
    });
    let (message, _) = failure(&server.url, false);
    assert!(message.contains("a different range from the one requested"), "{message}");

    let server =
        Server::start(|_, _, _| Answer { head: "200 OK\r\nContent-Length: 1000000000000".into(), body: Vec::new() });
    let (message, left) = failure(&server.url, true);
    assert!(message.contains("the server offers 1000000000000 bytes"), "{message}");
    assert_eq!(left.len(), 1, "an empty partial download");

    // If the server gives no length, the download stops at the greatest length that the right file can have.
    let server = Server::start(|_, _, _| Answer { head: "200 OK".into(), body: vec![0; 6 << 20] });
    let (message, _) = failure(&server.url, true);
    assert!(message.contains("the server sent more than"), "{message}");
}

#[test]
fn a_server_that_gives_nothing_is_given_up() {
    let server = Server::start(|_, _, _| Answer { head: "200 OK\r\nContent-Length: 9000".into(), body: Vec::new() });
    let (message, _) = failure(&server.url, false);
    assert!(message.contains("4 attempts in a row failed") && message.contains("after 0 of 9000 bytes"), "{message}");
}

#[test]
fn redirects_are_followed_to_places_that_may_be_fetched_from() {
    let content = archive();
    let server = Server::start(move |_, path, start| match path {
        "/there" => whole_or_part(&content, start),
        _ => Answer { head: "302 Found\r\nLocation: /there\r\nContent-Length: 0".into(), body: Vec::new() },
    });
    let folder = TempDir::new().unwrap();
    fetch_tiny(&server.url, folder.path()).0.unwrap();
    assert_fetched(folder.path());

    let server = Server::start(|_, _, _| Answer {
        head: "302 Found\r\nLocation: /round\r\nContent-Length: 0".into(),
        body: Vec::new(),
    });
    assert!(failure(&server.url, false).0.contains("redirect"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_redirect_into_the_open_is_refused() {
    // Another address of this machine, but not one for which plain HTTP is allowed.
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let target = format!("http://{}/there", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            read_request(&stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
        }
    });
    let server = Server::start(move |_, _, _| Answer {
        head: format!("302 Found\r\nLocation: {target}\r\nContent-Length: 0"),
        body: Vec::new(),
    });
    let (message, _) = failure(&server.url, false);
    assert!(message.contains("which does not use HTTPS"), "{message}");
}

#[test]
fn addresses_that_cannot_be_fetched_from_are_refused() {
    for (from, problem) in [
        ("http://example.org/a.tar.gz", "does not use HTTPS"),
        ("ftp://example.org/a.tar.gz", "the protocol `ftp` is not supported"),
        ("nowhere.tar.gz", "no such file"),
        ("https://", "is not a URL"),
    ] {
        let (message, _) = failure(from, false);
        assert!(message.contains(problem), "{from}: {message}");
    }
}

#[test]
fn an_answer_of_404_is_passed_on() {
    let server =
        Server::start(|_, _, _| Answer { head: "404 Not Found\r\nContent-Length: 0".into(), body: Vec::new() });
    let (message, _) = failure(&server.url, false);
    assert!(message.contains("the server returned 404 Not Found"), "{message}");
    assert_eq!(server.asked().len(), 1, "trying again would not help");
}

#[test]
fn a_changed_byte_is_found_and_the_download_is_thrown_away() {
    let mut records = three_records();
    records[4321] ^= 1;
    let server = Server::of(archive_of(&records));
    let (message, left) = failure(&server.url, true);
    assert!(message.contains("`tiny-bin/test.bin` has the SHA-256") && message.contains(&server.url), "{message}");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn archives_that_are_not_the_dataset_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.tar.gz");
    let message = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        failure(path.to_str().unwrap(), true).0
    };
    assert!(message(b"").contains("cannot be read"));
    assert!(message(b"<html>not found</html>").contains("cannot be read"));
    assert!(message(&archive_of(b"short")).contains("has 5 bytes, expected 9,219"));
}

#[test]
fn damage_at_any_place_is_found() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.tar.gz");
    let whole = archive();
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..20 {
        fs::write(&path, &whole[..random(whole.len())]).unwrap();
        failure(path.to_str().unwrap(), true);
        let mut changed = whole.clone();
        // After the gzip header, which holds a time stamp that may change freely.
        changed[10 + random(whole.len() - 10)] ^= 1 << random(8);
        fs::write(&path, &changed).unwrap();
        failure(path.to_str().unwrap(), true);
    }
}

#[test]
fn of_two_at_once_one_downloads_and_the_other_waits() {
    let content = archive();
    let server = Server::start(move |_, _, start| {
        std::thread::sleep(std::time::Duration::from_millis(300));
        whole_or_part(&content, start)
    });
    let folder = TempDir::new().unwrap();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| fetch_tiny(&server.url, folder.path()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut were_there: Vec<bool> = outcomes.iter().map(|(outcome, _)| outcome.as_ref().unwrap().was_there).collect();
    were_there.sort();
    assert_eq!(were_there, [false, true]);
    assert_eq!(outcomes.iter().filter(|(_, events)| events.contains(&FetchEvent::Waiting)).count(), 1);
    assert_eq!(server.asked(), [""]);
    assert_fetched(folder.path());
}

#[test]
fn what_a_killed_process_left_is_cleared_and_a_damaged_copy_mended() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join(".tiny.unpacking-x/deep")).unwrap();
    fs::create_dir(folder.path().join("tiny")).unwrap();
    fs::write(folder.path().join("tiny/train.bin"), &three_records()[..100]).unwrap();
    fs::write(folder.path().join("tiny/notes.txt"), "mine").unwrap();
    let path = folder.path().join("tiny/a.tar.gz");
    fs::write(&path, archive()).unwrap();
    fetch_tiny(path.to_str().unwrap(), folder.path()).0.unwrap();
    assert_eq!(names(folder.path()), ["tiny"]);
    assert_eq!(names(&folder.path().join("tiny")), ["a.tar.gz", "notes.txt", "test.bin", "train.bin"]);
    assert_eq!(fs::read(folder.path().join("tiny/train.bin")).unwrap(), three_records());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_leaves_no_dataset() {
    let folder = TempDir::new().unwrap();
    let mount =
        |arguments: &[&str]| std::process::Command::new(arguments[0]).args(&arguments[1..]).arg(folder.path()).output();
    let mounted = mount(&["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs"]);
    if !mounted.is_ok_and(|output| output.status.success()) {
        testing::skipped("a download that fills its disk", "a tmpfs cannot be mounted here");
        return;
    }
    let server = Server::of(archive());
    let error = fetch_tiny(&server.url, folder.path()).0.unwrap_err();
    let left = names(folder.path());
    mount(&["umount"]).unwrap();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("No space left"), "{error}");
    assert!(left.iter().all(|name| name.ends_with(".part")), "{left:?}");
}

#[test]
fn photos_are_laid_out_as_an_image_folder() {
    let zipped = |files: &[(&str, &[u8])]| {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, content) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let inner = zipped(&[("train/cat.0.jpg", b"c0"), ("train/dog.0.jpg", b"d0"), ("train/dog.1.jpg", b"d1")]);
    let kaggle =
        zipped(&[("train.zip", &inner), ("test1.zip", b"no zip at all"), ("sampleSubmission.csv", b"id,label")]);
    let microsoft =
        zipped(&[("PetImages/Cat/0.jpg", b"c0"), ("PetImages/Cat/Thumbs.db", b"x"), ("PetImages/Dog/1.jpg", b"d1")]);
    for (bytes, counts) in
        [(&kaggle, "1 cats and 2 dogs"), (&inner, "1 cats and 2 dogs"), (&microsoft, "1 cats and 1 dogs")]
    {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.zip");
        fs::write(&path, bytes).unwrap();
        let data = folder.path().join("data");
        let request = Fetch { dataset: Fetchable::CatsVsDogs, from: path.to_str(), to: Some(&data) };
        let fetched = fetch(&request, &mut |_| ()).unwrap();
        assert!(fetched.contents.starts_with(counts) && !fetched.was_there, "{fetched:?}");
        assert_eq!(fs::read(data.join("cats-vs-dogs/cat/cat.0.jpg")).unwrap(), b"c0");
        assert_eq!(fs::read(data.join("cats-vs-dogs/dog/dog.1.jpg")).unwrap(), b"d1");
        assert!(fetch(&Fetch { from: None, ..request }, &mut |_| ()).unwrap().was_there);

        fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        let error =
            fetch(&Fetch { dataset: Fetchable::CatsVsDogs, from: path.to_str(), to: Some(&elsewhere) }, &mut |_| ());
        assert!(matches!(error, Err(Error::Damaged { .. })), "{error:?}");
        assert_eq!(names(&elsewhere), [".cats-vs-dogs.lock"]);
    }
    let nowhere = TempDir::new().unwrap();
    let error = fetch(&Fetch { dataset: Fetchable::CatsVsDogs, from: None, to: Some(nowhere.path()) }, &mut |_| ())
        .unwrap_err();
    assert!(error.to_string().contains("needs an account") && error.exit_code() == 2, "{error}");
}
