//! A power cut after each call, with [`Durability::Disk`].
//!
//! The calls are written down as what they do to a disk. What was not synced when the power fails
//! is there or not, each sector of 512 bytes and each change of a directory for itself; from every
//! such disk a store is opened. A real file system keeps more of an order than that.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use super::scenario::*;
use super::*;
use crate::store::file::dir::watched::{DirCall, Verdict, Watcher, under};

/// The number of changes up to which every subset is tried. Of more changes each is tried alone, each is left out, and
/// they stop behind each.
const EVERY_SUBSET_OF: usize = 8;

/// A file whatever its name.
type Inode = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DiskNode {
    Dir,
    File(Inode),
}

/// The content of a disk. Names are relative to the sessions directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Disk {
    names: BTreeMap<String, DiskNode>,
    contents: BTreeMap<Inode, Vec<u8>>,
}

#[derive(Clone, Debug)]
enum Change {
    Add(String, DiskNode),
    Remove(String),
    Move(String, String),
    Exchange(String, String),
    Write(Inode, usize, Vec<u8>),
}

/// A thing that is synced as one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    Names(String),
    Content(Inode),
}

#[derive(Clone, Debug)]
enum DiskEvent {
    Begins,
    Changes(Change),
    Syncs(Thing),
    Ends(String),
}

impl Change {
    fn of(&self) -> Thing {
        match self {
            Self::Add(name, _)
            | Self::Remove(name)
            | Self::Move(name, _)
            | Self::Exchange(name, _) => Thing::Names(
                name.rsplit_once('/')
                    .map_or(".", |(parent, _)| parent)
                    .to_owned(),
            ),
            Self::Write(inode, ..) => Thing::Content(*inode),
        }
    }

    /// The parts that a disk does or does not do.
    fn parts(&self) -> Vec<Self> {
        let &Self::Write(inode, mut at, ref bytes) = self else {
            return vec![self.clone()];
        };
        let mut parts = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(rest.len().min(512 - at % 512));
            parts.push(Self::Write(inode, at, part.to_owned()));
            at += part.len();
            rest = behind;
        }
        parts
    }
}

impl Disk {
    fn of(fixture: &Fixture, inodes: &BTreeMap<u64, Inode>) -> Self {
        let mut disk = Self::default();
        for name in fixture.files() {
            let path = fixture.root().join(&name);
            let inode = inodes[&fs::metadata(&path).unwrap().ino()];
            for (end, _) in name.match_indices('/') {
                disk.names.insert(name[..end].to_owned(), DiskNode::Dir);
            }
            disk.names.insert(name, DiskNode::File(inode));
            disk.contents.insert(inode, fs::read(path).unwrap());
        }
        disk
    }

    /// Makes a change. It does nothing if something is missing that it needs.
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Add(name, node) => {
                self.names.insert(name.clone(), *node);
            }
            Change::Remove(name) => {
                self.names.remove(name);
            }
            Change::Move(from, to) => {
                if let Some(node) = self.names.remove(from) {
                    self.names.insert(to.clone(), node);
                }
            }
            Change::Exchange(one, two) => {
                if let (Some(&first), Some(&second)) = (self.names.get(one), self.names.get(two)) {
                    self.names.insert(one.clone(), second);
                    self.names.insert(two.clone(), first);
                }
            }
            Change::Write(inode, at, bytes) => {
                let content = self.contents.entry(*inode).or_default();
                let end = at + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*at..end].copy_from_slice(bytes);
            }
        }
    }

    /// Makes it a directory again.
    fn write_to(&self, fixture: &Fixture) {
        for (name, node) in &self.names {
            let path = fixture.root().join(name);
            match node {
                // In a directory that is not there, it is not there either.
                _ if !path.parent().unwrap().exists() => {}
                DiskNode::Dir if path.exists() => {}
                DiskNode::Dir => fs::create_dir(path).unwrap(),
                DiskNode::File(inode) => {
                    fs::write(
                        path,
                        self.contents.get(inode).map_or(&[][..], Vec::as_slice),
                    )
                    .unwrap();
                }
            }
        }
        for entry in fs::read_dir(fixture.root()).unwrap() {
            close_to_others(&entry.unwrap().path());
        }
    }
}

/// Only our own user's files are read.
fn close_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let is_dir = path.is_dir();
    let mode = if is_dir { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if is_dir {
        for entry in fs::read_dir(path).unwrap() {
            close_to_others(&entry.unwrap().path());
        }
    }
}

/// Writes down what is done to the disk.
struct Recorder {
    root: PathBuf,
    inodes: RefCell<BTreeMap<u64, Inode>>,
    events: RefCell<Vec<DiskEvent>>,
}

impl Recorder {
    fn inode(&self, file: &fs::File) -> Inode {
        self.inodes.borrow()[&file.metadata().unwrap().ino()]
    }

    /// A number that no other file gets: the system gives those of deleted files to new ones.
    fn add(&self, name: &str) -> Inode {
        let number = fs::metadata(self.root.join(name)).unwrap().ino();
        let mut inodes = self.inodes.borrow_mut();
        let inode = 1 + inodes.values().max().copied().unwrap_or_default();
        inodes.insert(number, inode);
        inode
    }

    fn event(&self, event: DiskEvent) {
        self.events.borrow_mut().push(event);
    }
}

impl Watcher for Recorder {
    fn before(&self, _call: &DirCall<'_>) -> Verdict {
        Verdict::Go
    }

    fn after(&self, call: &DirCall<'_>) {
        let name = |name: &str| name.to_owned();
        self.event(match *call {
            DirCall::Create(of) => {
                DiskEvent::Changes(Change::Add(name(of), DiskNode::File(self.add(of))))
            }
            DirCall::MakeDir(of) => DiskEvent::Changes(Change::Add(name(of), DiskNode::Dir)),
            DirCall::RemoveFile(of) | DirCall::RemoveDir(of) => {
                DiskEvent::Changes(Change::Remove(name(of)))
            }
            DirCall::Rename { from, to } => DiskEvent::Changes(Change::Move(name(from), name(to))),
            DirCall::Replace { old, new } => {
                assert!(
                    self.root.join(new).exists(),
                    "names cannot be exchanged here"
                );
                DiskEvent::Changes(Change::Exchange(name(old), name(new)))
            }
            DirCall::Write(file, bytes, at) => {
                let at = usize::try_from(at).unwrap();
                DiskEvent::Changes(Change::Write(self.inode(file), at, bytes.to_owned()))
            }
            DirCall::SyncDir(of) => DiskEvent::Syncs(Thing::Names(name(of))),
            DirCall::SyncFile(file) => DiskEvent::Syncs(Thing::Content(self.inode(file))),
            DirCall::Open(_)
            | DirCall::Identify(_)
            | DirCall::Changed(_)
            | DirCall::List(_)
            | DirCall::SyncPath(_)
            | DirCall::Facts(_)
            | DirCall::Read(_)
            | DirCall::Lock(..) => return,
        });
    }
}

/// All disks that a power cut behind these events can leave.
fn disks(before: &Disk, events: &[DiskEvent]) -> BTreeSet<Disk> {
    let mut parts = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let DiskEvent::Changes(change) = event else {
            continue;
        };
        let of = change.of();
        let syncs = |event: &DiskEvent| matches!(event, DiskEvent::Syncs(thing) if *thing == of);
        let is_safe = events[index..].iter().any(syncs);
        parts.extend(change.parts().into_iter().map(|part| (part, is_safe)));
    }
    let count = parts.iter().filter(|(_, is_safe)| !is_safe).count();
    let disk = |there: &dyn Fn(usize) -> bool| {
        let mut disk = before.clone();
        let mut number = 0;
        for (part, is_safe) in &parts {
            if *is_safe || there(number) {
                disk.apply(part);
            }
            number += usize::from(!is_safe);
        }
        disk
    };
    if count <= EVERY_SUBSET_OF {
        let subsets = 0..1_usize << count;
        return subsets
            .map(|subset| disk(&|number| subset >> number & 1 == 1))
            .collect();
    }
    let some = (0..=count).flat_map(|n| {
        [
            disk(&|number| number == n),
            disk(&|number| number != n),
            disk(&|number| number < n),
            disk(&|number| number >= n),
        ]
    });
    some.collect()
}

fn cut(ops: Vec<Op>) -> usize {
    cut_in(&Scenario::of_one_session([ops]).seeing(TWO))
}

/// Cuts the power behind each event of a scenario of one process, and answers how many disks that
/// can leave.
fn cut_in(scenario: &Scenario) -> usize {
    let fixture = fixture(Durability::Disk);
    let recorder = Rc::new(Recorder {
        root: fixture.root(),
        inodes: RefCell::default(),
        events: RefCell::default(),
    });
    under(recorder.clone(), || scenario.begin(&fixture.store));
    let before = Disk::of(&fixture, &recorder.inodes.borrow());
    recorder.events.take();
    under(recorder.clone(), || {
        for op in &scenario.processes[0] {
            recorder.event(DiskEvent::Begins);
            recorder.event(DiskEvent::Ends(op.run(&fixture.store).unwrap()));
        }
    });
    let events = recorder.events.take();
    let orders = scenario.orders(Some(0));
    let mut count = 0;
    for end in 0..=events.len() {
        let done = done(&events[..end]);
        for disk in disks(&before, &events[..end]) {
            count += 1;
            let fixture = super::fixture(Durability::Disk);
            disk.write_to(&fixture);
            let seen = scenario.seen(&fixture.store);
            let explains = |order: &Order| order.explains(&done, &seen);
            assert!(
                orders.iter().any(explains),
                "{:?}\n{done:#?}\n{seen:#?}\n{:#?}",
                &events[..end],
                disk.names
            );
            assert_life_goes_on(&fixture, scenario);
        }
    }
    println!("{count} disks");
    count
}

fn done(events: &[DiskEvent]) -> Vec<Finished> {
    let mut done: Vec<Finished> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        match event {
            DiskEvent::Begins => done.push(Finished {
                place: OpPlace {
                    process: 0,
                    number: done.len(),
                },
                began: index,
                ended: usize::MAX,
                outcome: None,
            }),
            DiskEvent::Ends(outcome) => {
                let last = done.last_mut().unwrap();
                last.ended = index;
                last.outcome = Some(outcome.clone());
            }
            DiskEvent::Changes(_) | DiskEvent::Syncs(_) => {}
        }
    }
    done
}

#[test]
fn what_was_answered_is_on_the_disk() {
    let user_2 = with(later(3, 11), |head| head.user = Some(user(2)));
    let disks = [
        vec![Action::Create(TWO, later(1, 20)).into()],
        vec![Action::Create(TWO, large(1, 20)).into()],
        vec![
            commit(later(2, 10)),
            commit_over(2, 10, later(3, 11)),
            Action::Remove(ONE).into(),
        ],
        vec![commit(large(2, 10)), commit_over(2, 10, user_2)],
        vec![touch(), commit(later(2, 10))],
        vec![renew(TWO, 20), commit_to(TWO, 2, 20, large(3, 21))],
        vec![renew(TWO, 20), Action::Remove(ONE).into()],
        vec![Action::RemoveUser(user(1), Which::All).into()],
    ]
    .map(cut);
    // In a directory where there is nothing yet.
    let at_first = Scenario {
        before: vec![],
        ..Scenario::of_one_session([vec![Action::Create(ONE, first()).into()]])
    };
    let disks = cut_in(&at_first) + disks.iter().sum::<usize>();
    println!("{disks} disks in all");
    assert!(disks > 400, "{disks}");
}

#[derive(Default)]
struct Synced(RefCell<Vec<PathBuf>>);

impl Watcher for Synced {
    fn before(&self, call: &DirCall<'_>) -> Verdict {
        if let DirCall::SyncPath(path) = *call {
            self.0.borrow_mut().push(path.to_owned());
        }
        Verdict::Go
    }
}

#[test]
fn a_new_directory_is_on_the_disk_and_those_made_above_it_too() {
    let above = tempfile::tempdir().unwrap();
    let path = above.path().join("a/b/sessions");
    for (durability, expected) in [
        (Durability::Disk, &["a/b", "a", ""][..]),
        (Durability::Process, &[]),
    ] {
        let synced = Rc::new(Synced::default());
        let store = under(synced.clone(), || opened(&path, durability).unwrap());
        let expected: Vec<_> = expected
            .iter()
            .map(|path| above.path().join(path))
            .collect();
        assert_eq!(synced.0.take(), expected);
        // Once.
        under(synced.clone(), || opened(&path, durability).unwrap());
        assert_eq!(synced.0.take(), Vec::<PathBuf>::new());
        drop(store);
        fs::remove_dir_all(above.path().join("a")).unwrap();
    }
}
