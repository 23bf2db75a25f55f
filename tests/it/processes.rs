//! Several processes on one directory, and processes that are killed.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use bsession::{Mode, Secure, Sessions};
use serde_json::json;

use crate::support::{Kind, SECRET, Setup, Site, Visitor};

/// Where the sessions of a server process are; set for those processes alone.
const DIRECTORY: &str = "BSESSION_TEST_DIRECTORY";

/// Run by the other tests, in processes of its own; by itself it does nothing.
#[test]
fn serve() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let sessions = Sessions::builder(SECRET)
        .mode(Mode::File)
        .sessions_dir(directory)
        .secure(Secure::Never);
    let site = Site::open(sessions.build().expect("a service"));
    println!("\nserving at {}", site.address);
    std::io::stdout().flush().expect("the parent reads");
    // Until the parent closes its end, or is gone.
    std::io::stdin().lines().for_each(drop);
}

/// A server in a process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
    _stdin: ChildStdin,
}

impl Server {
    fn start(directory: &Path) -> Self {
        let this = std::env::current_exe().expect("this program");
        let mut child = Command::new(this)
            .args(["processes::serve", "--exact", "--nocapture"])
            .env(DIRECTORY, directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        let stdin = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("serving at ")?.parse().ok())
            .expect("the server says where it is");
        Self {
            child,
            address,
            _stdin: stdin,
        }
    }

    fn visitor(&self) -> Visitor {
        Visitor::new(self.address)
    }
}

impl Drop for Server {
    /// `kill -9`: nothing in a server may count on an orderly end.
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

fn directory(setup: &Setup) -> std::path::PathBuf {
    setup.dir.path().join("sessions")
}

#[test]
fn eight_processes_count_exactly() {
    let setup = Setup::new(Kind::File);
    let servers: Vec<_> = (0..8).map(|_| Server::start(&directory(&setup))).collect();
    let visitor = servers[0].visitor();
    visitor.post("/set/name/joe");
    let tabs: Vec<_> = servers
        .iter()
        .map(|server| {
            visitor.at(server.address).meanwhile(|tab| {
                (0..50).for_each(|_| assert_eq!(tab.post("/add/n").status, 200));
                tab.get("/all")
            })
        })
        .collect();
    tabs.into_iter()
        .for_each(|tab| drop(tab.join().expect("no failure")));
    for server in &servers {
        assert_eq!(
            visitor.at(server.address).session()["data"],
            json!({"n": 400, "name": "joe"})
        );
    }
}

#[test]
fn what_one_process_saved_the_others_see_at_once() {
    let setup = Setup::new(Kind::File);
    let servers: Vec<_> = (0..3).map(|_| Server::start(&directory(&setup))).collect();
    let visitor = servers[0].visitor();
    for round in 0..100 {
        let (writer, reader) = (&servers[round % 3], &servers[(round + 1) % 3]);
        visitor
            .at(writer.address)
            .post(&format!("/set/round/{round}"));
        assert_eq!(
            visitor.at(reader.address).get("/get/round").body,
            format!("\"{round}\"")
        );
    }
    visitor.at(servers[1].address).post("/login/joe");
    let token = visitor.token().expect("a cookie");
    assert_eq!(
        visitor.at(servers[2].address).session()["user"],
        json!("joe")
    );
    visitor.at(servers[2].address).post("/logout");
    for server in &servers {
        let replay = raw(server, &token);
        assert!(
            replay.contains("\"user\":null") && replay.contains("\"data\":{}"),
            "{replay}"
        );
    }
}

/// The session that a token shows, whatever the jar says.
fn raw(server: &Server, token: &str) -> String {
    use std::io::Read;
    let mut stream = std::net::TcpStream::connect(server.address).expect("the server listens");
    let request = format!(
        "GET /all HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: bsession={token}\r\n\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .expect("the server reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the server answers");
    answer
}

#[test]
fn sessions_outlive_their_processes() {
    let setup = Setup::new(Kind::File);
    let first = Server::start(&directory(&setup));
    let (joe, eve, gone) = (first.visitor(), first.visitor(), first.visitor());
    joe.post("/login/joe");
    eve.post("/set/name/eve");
    gone.post("/login/gone");
    let token = gone.token().expect("a cookie");
    gone.post("/logout");
    drop(first);
    let second = Server::start(&directory(&setup));
    assert_eq!(joe.at(second.address).session()["user"], json!("joe"));
    assert_eq!(
        eve.at(second.address).session()["data"],
        json!({"name": "eve"})
    );
    assert!(
        raw(&second, &token).contains("\"user\":null"),
        "a logout outlives them, too"
    );
}

/// Kills a server in the middle of its saves, again and again: all that was answered is there, no
/// record is torn, no lock stays.
#[test]
fn a_killed_process_leaves_every_answered_save() {
    let setup = Setup::new(Kind::File);
    let witness = Server::start(&directory(&setup));
    let visitor = witness.visitor();
    visitor.post("/set/name/joe");
    let mut answered = 0;
    for _ in 0..10 {
        let victim = Server::start(&directory(&setup));
        let (sent, acknowledged) = std::sync::mpsc::channel();
        let tab = visitor.at(victim.address);
        let client = std::thread::spawn(move || {
            while let Ok(200) = tab.try_post("/add/n") {
                if sent.send(()).is_err() {
                    break;
                }
            }
        });
        let enough = acknowledged.iter().take(50).count();
        drop(victim);
        client.join().expect("the client ends with its server");
        answered += enough + acknowledged.iter().count();
        let session = visitor.session();
        let counted =
            usize::try_from(session["data"]["n"].as_u64().expect("a number")).expect("small");
        assert_eq!(session["data"]["name"], json!("joe"));
        assert!(
            counted == answered || counted == answered + 1,
            "{counted} for {answered} answers"
        );
        answered = counted;
    }
}
