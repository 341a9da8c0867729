//! Clients that nobody here wrote, over a unix socket.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use crate::lab::{Bench, DISK_LEN, FileExport, run, told};
use nbd::{Exports, Limits, Listen, Scratch, ScratchRoom, Server, ServerError};
use units::ByteLen;

fn scratch(bench: &Bench, limit: ByteLen) -> Arc<Scratch> {
    let below = FileExport::open(&bench.disk, false);
    let scratch = Scratch::over(below, bench.directory.path(), ScratchRoom::new(limit));
    Arc::new(scratch.expect("the scratch is made"))
}

#[test]
fn nbdinfo_lists_every_image_and_what_can_be_done_with_it() {
    let bench = Bench::new();
    let (_server, uri) =
        bench.serve(vec![FileExport::open(&bench.disk, false), scratch(&bench, ByteLen::mib(1))]);
    let list = told("nbdinfo", &["--list", "--json", &uri]);
    let list: String = list.split_whitespace().collect();
    for fact in [
        r#""export-name":"0""#,
        r#""export-name":"1""#,
        &format!(r#""export-size":{DISK_LEN}"#),
        r#""structured":true"#,
        r#""is_read_only":true"#,
        r#""is_read_only":false"#,
        r#""can_multi_conn":true"#,
        r#""can_df":true"#,
        r#""can_fua":true"#,
        r#""can_trim":true"#,
        r#""contexts":["base:allocation"]"#,
        r#""block_size_minimum":1,"block_size_preferred":65536,"block_size_maximum":33554432"#,
    ] {
        assert!(list.contains(fact), "{fact} in {list}");
    }
}

#[test]
fn nbdinfo_and_qemu_img_map_the_zeroes() {
    let bench = Bench::new();
    let (_server, uri) = bench.serve(vec![FileExport::open(&bench.disk, false)]);
    let map = told("nbdinfo", &["--map", &uri]);
    let lines: Vec<Vec<&str>> = map.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    let expected = [
        ["0", "1048576", "0"],
        ["1048576", "2093056", "3"],
        ["3141632", "1056768", "0"],
        ["4198400", "2097152", "3"],
        ["6295552", "512", "0"],
    ];
    assert_eq!(lines, expected);
    let map: String = told("qemu-img", &["map", "--output=json", &uri]).split_whitespace().collect();
    assert!(
        map.contains(r#""start":1048576,"length":2093056,"depth":0,"present":true,"zero":true,"data":false"#)
    );
    assert!(
        map.contains(r#""start":3141632,"length":1056768,"depth":0,"present":true,"zero":false,"data":true"#)
    );
}

#[test]
fn what_is_copied_out_is_the_image() {
    let bench = Bench::new();
    let (_server, uri) = bench.serve(vec![FileExport::open(&bench.disk, false)]);
    let (copy, converted) = (bench.path("copy.raw"), bench.path("converted.qcow2"));
    let (copy, converted) = (copy.to_str().expect("ASCII"), converted.to_str().expect("ASCII"));
    told("nbdcopy", &[&uri, copy]);
    assert_eq!(std::fs::read(copy).expect("the copy is there"), bench.bytes());
    told("nbdcopy", &["--synchronous", "--allocated", &uri, copy]);
    assert_eq!(std::fs::read(copy).expect("the copy is there"), bench.bytes());
    told("qemu-img", &["convert", "-m", "8", "-W", "-f", "raw", "-O", "qcow2", &uri, converted]);
    let disk = bench.disk.to_str().expect("ASCII");
    told("qemu-img", &["compare", "-F", "raw", converted, disk]);
    told("qemu-img", &["compare", "-f", "raw", "-F", "raw", &uri, disk]);
}

#[test]
fn a_read_only_image_takes_no_write() {
    let bench = Bench::new();
    let (_server, uri) = bench.serve(vec![FileExport::open(&bench.disk, false)]);
    assert!(!run("nbdcopy", &[bench.disk.to_str().expect("ASCII"), &uri]).status.success());
    told("nbdinfo", &["--size", &uri]);
}

#[test]
fn what_is_copied_in_is_read_again_and_the_image_below_is_left_alone() {
    let bench = Bench::new();
    let before = bench.bytes();
    let other = bench.path("other.raw");
    let mut changed = before.clone();
    changed.rotate_left(5000);
    std::fs::write(&other, &changed).expect("another image is written");
    let other = other.to_str().expect("ASCII");
    let (server, uri) = bench.serve(vec![scratch(&bench, ByteLen::mib(8))]);
    told("nbdcopy", &["--flush", other, &uri]);
    told("qemu-img", &["compare", "-f", "raw", "-F", "raw", other, &uri]);
    assert_eq!(bench.bytes(), before, "what is below is only read");
    drop(server);
    let (_server, uri) = bench.serve(vec![scratch(&bench, ByteLen::mib(8))]);
    let disk = bench.disk.to_str().expect("ASCII");
    told("qemu-img", &["compare", "-f", "raw", "-F", "raw", disk, &uri]);
}

#[test]
fn qemu_io_writes_single_bytes_zeroes_and_trims() {
    let bench = Bench::new();
    let (_server, uri) = bench.serve(vec![scratch(&bench, ByteLen::mib(8))]);
    let commands = [
        "write -P 0x5a 4095 2",
        "write -P 0x6b 6295551 1",
        "write -f -P 0x7c 1048000 1500000",
        "write -z 100 300000",
        "write -P 0x11 200 100",
        "discard 3141632 1048576",
        "flush",
        "read -P 0 100 100",
        "read -P 0x11 200 100",
        "read -P 0 300 299800",
        "read -P 0x7c 1048000 1500000",
        "read -P 0x6b 6295551 1",
        "read -P 0 3141632 1048576",
    ];
    let mut arguments = vec!["-f", "raw"];
    commands.iter().for_each(|command| arguments.extend(["-c", command]));
    arguments.push(&uri);
    let told = told("qemu-io", &arguments);
    assert!(!told.contains("verification failed") && !told.contains("rror"), "{told}");
}

#[test]
fn a_full_scratch_refuses_and_goes_on() {
    let bench = Bench::new();
    let (_server, uri) = bench.serve(vec![scratch(&bench, ByteLen::mib(1))]);
    let output = run(
        "qemu-io",
        &["-f", "raw", "-c", "write -P 1 0 1M", "-c", "write -P 2 2M 4k", "-c", "read -P 1 0 1M", &uri],
    );
    let told =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("write failed: No space left on device"), "{told}");
    assert!(told.contains("read 1048576/1048576"), "{told}");
    assert!(!told.contains("verification failed"), "{told}");
}

#[test]
fn a_scratch_leaves_nothing_behind_and_its_socket_is_ours_alone() {
    let bench = Bench::new();
    let (server, _) = bench.serve(vec![scratch(&bench, ByteLen::mib(1))]);
    let socket = bench.path("nbd.sock");
    let mode = std::fs::metadata(&socket).expect("the socket is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = Server::start(
        &Listen::Unix(socket.clone()),
        Exports::numbered([FileExport::open(&bench.disk, false) as _]),
        Limits::default(),
    );
    assert!(matches!(second, Err(ServerError::Taken { .. })), "a living server keeps its socket");
    drop(server);
    let left: Vec<_> = std::fs::read_dir(bench.directory.path()).expect("it is there").flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
