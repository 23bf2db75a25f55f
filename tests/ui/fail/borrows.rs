// What is read from the session is borrowed until it is used for the last time.

use bsession::{Result, session};

#[session]
async fn reads_and_writes() -> Result<String> {
    let name = session.user().unwrap_or("nobody");
    session.insert("greeted", true)?;
    Ok(name.to_owned())
}

#[session]
async fn removes_what_it_iterates() -> &'static str {
    for (key, _) in session.iter() {
        session.remove(key);
    }
    "empty"
}

#[session]
async fn updates_by_what_it_borrows() -> Result<String> {
    let step = 3;
    let sum = session.update("sum", |sum: u64| sum + step)?;
    Ok(sum.to_string())
}

fn main() {}
