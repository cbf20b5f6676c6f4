//! What iperf3 does not measure: requests and their answers, connections a second, connections that only stay. One static program,
//! so that it is the same in every guest and on the host.
//!
//! Usage: probe echo            prints its port on 127.0.0.1, and answers with what it is sent
//!        probe ask HOST PORT CONNECTIONS SECONDS      one request at a time on each
//!        probe connect HOST PORT SECONDS              connection, request, answer, end; one after another
//!        probe hold HOST PORT CONNECTIONS             prints "ready" and keeps them until its input ends
//! HOST is an IPv4 address. `ask` and `connect` print JSON: how many in a second, and how long one took (µs).
mod epoll;

use std::env;
use std::io::{ErrorKind, Read, Write, stdin, stdout};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// Bytes of a request, and of its answer.
const REQUEST: usize = 64;

fn open(host: &str, port: u16) -> TcpStream {
    let stream = TcpStream::connect((host, port)).expect("connect");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    stream
}

fn echo() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    println!("{}", listener.local_addr().expect("address").port());
    listener.set_nonblocking(true).expect("non-blocking");
    let epoll = epoll::Epoll::new();
    let door: RawFd = listener.as_raw_fd();
    epoll.add(door, door as usize);
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut ready = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        epoll.wait(&mut ready);
        for &descriptor in &ready {
            if descriptor == door as usize {
                while let Ok((stream, _)) = listener.accept() {
                    let _ = stream.set_nodelay(true);
                    let own = stream.as_raw_fd() as usize;
                    epoll.add(own as RawFd, own);
                    if streams.len() <= own {
                        streams.resize_with(own + 1, || None);
                    }
                    streams[own] = Some(stream);
                }
                continue;
            }
            let Some(stream) = &mut streams[descriptor] else {
                continue;
            };
            let is_over = match stream.read(&mut bytes) {
                Ok(0) | Err(_) => true,
                Ok(count) => stream.write_all(&bytes[..count]).is_err(),
            };
            if is_over {
                streams[descriptor] = None;
            }
        }
    }
}

struct Asking {
    stream: TcpStream,
    since: Instant,
    missing: usize,
}

fn ask(host: &str, port: u16, connections: usize, time: Duration) {
    let epoll = epoll::Epoll::new();
    let mut all: Vec<Asking> = (0..connections)
        .map(|_| Asking {
            stream: open(host, port),
            since: Instant::now(),
            missing: REQUEST,
        })
        .collect();
    let mut micros = Vec::new();
    let mut bytes = [0; REQUEST];
    let begun = Instant::now();
    for (at, one) in all.iter_mut().enumerate() {
        one.stream.set_nonblocking(true).expect("non-blocking");
        epoll.add(one.stream.as_raw_fd(), at);
        one.since = Instant::now();
        one.stream.write_all(&[0; REQUEST]).expect("write");
    }
    let mut ready = Vec::new();
    while begun.elapsed() < time {
        epoll.wait(&mut ready);
        for &at in &ready {
            let one = &mut all[at];
            match one.stream.read(&mut bytes[..one.missing]) {
                Ok(0) => panic!("the other end has ended it"),
                Ok(count) => one.missing -= count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => panic!("read: {error}"),
            }
            if one.missing == 0 {
                micros.push(one.since.elapsed().as_micros() as u64);
                one.missing = REQUEST;
                one.since = Instant::now();
                one.stream.write_all(&[0; REQUEST]).expect("write");
            }
        }
    }
    tell(micros, begun.elapsed());
}

fn connect(host: &str, port: u16, time: Duration) {
    let mut micros = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < time {
        let since = Instant::now();
        let mut stream = open(host, port);
        stream.write_all(&[0]).expect("write");
        stream.read_exact(&mut [0]).expect("read");
        drop(stream);
        micros.push(since.elapsed().as_micros() as u64);
    }
    tell(micros, begun.elapsed());
}

fn hold(host: &str, port: u16, connections: usize) {
    let all: Vec<TcpStream> = (0..connections).map(|_| open(host, port)).collect();
    println!("ready");
    let _ = stdin().read(&mut [0]);
    drop(all);
}

fn tell(mut micros: Vec<u64>, elapsed: Duration) {
    micros.sort_unstable();
    let of = |share: f64| {
        micros
            .get((micros.len() as f64 * share) as usize)
            .copied()
            .unwrap_or(0)
    };
    let rate = micros.len() as f64 / elapsed.as_secs_f64();
    println!(
        "{{\"rate\":{rate:.1},\"p50\":{},\"p99\":{}}}",
        of(0.5),
        of(0.99)
    );
    stdout().flush().expect("flush");
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let seconds = |text: &str| Duration::from_secs(number(text) as u64);
    match words[..] {
        ["echo"] => echo(),
        ["ask", host, port, count, time] => {
            ask(host, number(port) as u16, number(count), seconds(time))
        }
        ["connect", host, port, time] => connect(host, number(port) as u16, seconds(time)),
        ["hold", host, port, count] => hold(host, number(port) as u16, number(count)),
        _ => panic!("usage: see the head of probe.rs"),
    }
}
