//! The real CIFAR-10 over the wire, from the command to the table. Needs its files in ../shared/data.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

/// Where the first connection ends.
const BREAK: usize = 60_000_000;

/// An archive like the official one, made of the files that lie next to the repository in another compression.
fn archive(packed: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut append = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("cifar-10-batches-bin/{name}"), content).unwrap();
    };
    append("batches.meta.txt", &fs::read(packed.join("batches.meta.txt")).unwrap());
    for name in (1..=5).map(|number| format!("data_batch_{number}.bin")).chain(["test_batch.bin".to_owned()]) {
        let file = BufReader::new(File::open(packed.join(format!("{name}.zst"))).unwrap());
        let mut content = Vec::new();
        ruzstd::decoding::StreamingDecoder::new(file).unwrap().read_to_end(&mut content).unwrap();
        append(&name, &content);
    }
    append("readme.html", b"<html></html>");
    builder.into_inner().unwrap().finish().unwrap()
}

/// Serves `content` and notes the range of every request. The first connection breaks off.
fn serve(content: Vec<u8>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/cifar-10-binary.tar.gz", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let range = read_range(&stream);
            let first = noted.lock().unwrap().is_empty();
            noted.lock().unwrap().push(range.clone());
            // Time for another process to come.
            std::thread::sleep(Duration::from_secs(1));
            let _ = answer(stream, &content, &range, if first { BREAK } else { usize::MAX });
        }
    });
    (url, asked)
}

fn read_range(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map_while(|line| line.ok().filter(|line| !line.is_empty()));
    lines.filter_map(|line| Some(line.to_lowercase().strip_prefix("range: ")?.to_owned())).last().unwrap_or_default()
}

fn answer(mut stream: TcpStream, content: &[u8], range: &str, at_most: usize) -> std::io::Result<()> {
    let start = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')?.parse().ok());
    let total = content.len();
    let part = &content[start.unwrap_or(0)..];
    match start {
        None => write!(stream, "HTTP/1.1 200 OK\r\n")?,
        Some(start) => {
            write!(stream, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{total}\r\n", total - 1)?;
        }
    }
    write!(stream, "Content-Length: {}\r\nConnection: close\r\n\r\n", part.len())?;
    stream.write_all(&part[..part.len().min(at_most)])
}

fn vitbench(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vitbench"));
    command.env_remove("VITBENCH_DATA").env("XDG_CACHE_HOME", home).env("VITBENCH_TEST_PLAIN_HTTP_ON_LOOPBACK", "1");
    command.current_dir(home).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn two_fetch_cifar10_at_once_and_a_run_finds_it() {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/cifar10");
    if !packed.is_dir() {
        testing::skipped("fetching and training on the real CIFAR-10", "no ../shared/data/cifar10");
        return;
    }
    let (url, asked) = serve(archive(&packed));
    let home = TempDir::new().unwrap();
    let fetch = ["data", "fetch", "cifar10", "--from", &url];
    let processes = [0, 1].map(|_| vitbench(home.path(), &fetch).spawn().unwrap());
    let outputs = processes.map(|process| text(&process.wait_with_output().unwrap()));
    let count = |part: &str| outputs.iter().filter(|output| output.contains(part)).count();
    assert_eq!((count("is complete"), count("is already complete")), (1, 1), "{outputs:?}");
    assert_eq!((count("waiting for it"), count("retrying")), (1, 1), "{outputs:?}");
    assert_eq!(*asked.lock().unwrap(), [String::new(), format!("bytes={BREAK}-")]);

    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/cifar10-60k.toml");
    let mut run = vec!["run", config.to_str().unwrap(), "--out", "out"];
    for small in [
        "data.train_limit=40",
        "data.test_limit=20",
        "train.epochs=1",
        "train.batch_size=20",
        "train.schedule.warmup_epochs=0.5",
        "measure.min_seconds=0.0",
        "measure.warmup_seconds=0.0",
        "measure.min_samples=3",
        "measure.max_seconds=0.0",
    ] {
        run.extend(["--set", small]);
    }
    text(&vitbench(home.path(), &run).output().unwrap());
    let summary = fs::read_to_string(home.path().join("out/summary.csv")).unwrap();
    assert_eq!(summary.lines().count(), 7, "{summary}");
}
