//! The upstream of the benchmarks: `upstream EVENTS` listens on a free port of the loopback, prints the port,
//! answers every request as its path says ([`answer::Answer`]), and ends when its standard input closes.

mod answer;
mod request;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use answer::{Answer, Replies};
use request::Received;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

/// Connections that may wait to be accepted; thousands arrive at once.
const BACKLOG: u32 = 4096;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let events = std::env::args().nth(1).and_then(|events| events.parse().ok());
    let replies = Arc::new(Replies::new(events.ok_or_else(|| io::Error::other("usage: upstream EVENTS"))?));
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener = socket.listen(BACKLOG)?;
    println!("{}", listener.local_addr()?.port());
    std::thread::spawn(end_with_input);
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(serve(socket, Arc::clone(&replies)));
    }
}

fn end_with_input() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    std::process::exit(0);
}

/// Answers the requests of one connection until the client hangs up.
async fn serve(mut socket: TcpStream, replies: Arc<Replies>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut received = Received::default();
    while let Some(path) = received.next_path(&mut socket).await? {
        match Answer::of(&path) {
            Some(answer) => send(&mut socket, answer, &replies).await?,
            None => socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await?,
        }
    }
    Ok(())
}

async fn send(socket: &mut TcpStream, answer: Answer, replies: &Replies) -> io::Result<()> {
    match answer {
        Answer::Plain => socket.write_all(&replies.plain).await,
        Answer::Delayed(delay) => {
            sleep(delay).await;
            socket.write_all(&replies.plain).await
        }
        Answer::Stream => socket.write_all(&replies.stream).await,
        Answer::Paced { first, gap, events } => send_paced(socket, first, gap, events).await,
    }
}

async fn send_paced(socket: &mut TcpStream, first: Duration, gap: Duration, events: usize) -> io::Result<()> {
    let event = |position| answer::chunk(&answer::content_event(position));
    let mut due = Instant::now() + first;
    exactly_at(due).await;
    socket.write_all((answer::STREAM_HEAD.to_owned() + &event(0)).as_bytes()).await?;
    for position in 1..events {
        due += gap;
        sleep_until(due).await;
        socket.write_all(event(position).as_bytes()).await?;
    }
    socket.write_all((answer::chunk(&answer::closing_events()) + answer::STREAM_END).as_bytes()).await
}

/// Waits until `due` to the microsecond: the runtime's timer alone is late by up to two milliseconds, which would
/// be counted as the client's.
async fn exactly_at(due: Instant) {
    sleep_until(due - Duration::from_millis(2)).await;
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}
