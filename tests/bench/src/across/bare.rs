//! The floor: bare `XADD` on one connection, and bare `XREAD` on another.

use std::{error::Error, sync::mpsc::Sender, thread, time::Instant};

use redis::{Client, aio::MultiplexedConnection};

use super::receipts::Receipts;

/// An ID, field names and values.
type Entry = (String, Vec<String>);

/// The stream that is written to.
const STREAM: &str = "bare";

pub(super) async fn connect(url: &str) -> Result<MultiplexedConnection, Box<dyn Error>> {
    Ok(Client::open(url)?
        .get_multiplexed_async_connection()
        .await?)
}

pub(super) async fn publish(
    connection: &MultiplexedConnection,
    data: String,
) -> Result<(), Box<dyn Error>> {
    let mut connection = connection.clone();
    redis::cmd("XADD")
        .arg(STREAM)
        .arg(&["MAXLEN", "~", "10000", "*", "d"])
        .arg(data)
        .query_async::<()>(&mut connection)
        .await?;
    Ok(())
}

/// Reads the stream beside so many less one that stay empty, until Redis ends.
pub(super) fn follow(url: &str, streams: usize) -> Result<Receipts, Box<dyn Error>> {
    let mut connection = Client::open(url)?.get_connection()?;
    // From here on; `$` would leave out what comes between two reads.
    let last: Option<String> = last_id(&mut connection)?;
    let (sender, receipts) = Receipts::new();
    let mut last = last.unwrap_or_else(|| "0-0".to_owned());
    let names: Vec<_> = (1..streams)
        .map(|number| format!("bare-m{number}"))
        .collect();
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    thread::spawn(move || {
        let _ = ready.send(());
        while let Ok(id) = read(&mut connection, &names, &last, &sender) {
            last = id;
        }
    });
    is_ready.recv()?;
    Ok(receipts)
}

fn last_id(connection: &mut redis::Connection) -> Result<Option<String>, Box<dyn Error>> {
    let entries: Vec<Entry> = redis::cmd("XREVRANGE")
        .arg(&[STREAM, "+", "-", "COUNT", "1"])
        .query(connection)?;
    Ok(entries.into_iter().next().map(|(id, _)| id))
}

/// One `XREAD`; the ID of the last entry.
fn read(
    connection: &mut redis::Connection,
    names: &[String],
    last: &str,
    sender: &Sender<Instant>,
) -> Result<String, Box<dyn Error>> {
    let mut command = redis::cmd("XREAD");
    command.arg(&["COUNT", "1000", "BLOCK", "0", "STREAMS", STREAM]);
    command.arg(names).arg(last);
    for _ in names {
        command.arg("0-0");
    }
    let answer: Vec<(String, Vec<Entry>)> = command.query(connection)?;
    let now = Instant::now();
    let mut newest = last.to_owned();
    for (id, _) in answer.into_iter().flat_map(|(_, entries)| entries) {
        sender.send(now)?;
        newest = id;
    }
    Ok(newest)
}
