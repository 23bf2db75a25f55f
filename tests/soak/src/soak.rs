//! A run: legs of traffic, with a look at the figures after each.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::fleet::Fleet;
use crate::place::Place;
use crate::report;
use crate::tally::{self, Counts, Tally};
use crate::traffic::Player;
use crate::watch::{self, Figures, Health};
use crate::world::World;

/// The first leg is the warm-up, so there are some even in a short run.
const LEGS: u32 = 5;
/// How long a server lives that is to be killed.
const LIFE: Duration = Duration::from_secs(3);

struct Run<'r> {
    args: &'r Args,
    place: &'r Place,
    fleet: Fleet,
    world: World,
    players: Vec<Player>,
    begun: Instant,
    /// What the servers had counted that were killed.
    past: Counts,
    kills: u64,
    /// The descriptors of a server that nobody has visited yet.
    idle_descriptors: u64,
}

/// Runs, prints the report and says whether all was well.
pub(crate) fn run(args: &Args) -> std::io::Result<bool> {
    let place = Place::new(args.kind)?;
    let (fleet, lives) = Fleet::start(args.processes, &place)?;
    let pace = Duration::from_secs(args.clients as u64) / args.rate;
    let mut run = Run {
        args,
        place: &place,
        fleet,
        world: World::new(lives),
        players: (0..args.clients).map(|_| Player::new(pace)).collect(),
        begun: Instant::now(),
        past: Counts::new(),
        kills: 0,
        idle_descriptors: u64::MAX,
    };
    let fresh = run.measure(&[])?.servers;
    run.idle_descriptors = fresh
        .iter()
        .map(|health| health.descriptors)
        .max()
        .unwrap_or(0)
        + place.descriptors();
    let minutes = u32::try_from(args.length.as_secs() / 60).unwrap_or(u32::MAX);
    let legs = LEGS.max(minutes);
    let mut figures: Vec<Figures> = Vec::new();
    println!("{}", report::LINES);
    for leg in 1..=legs {
        run.leg(run.begun + args.length * leg / legs)?;
        let measured = run.measure(&figures)?;
        println!("{}", report::line(&measured));
        figures.push(measured);
        if run.world.has_enough() {
            break;
        }
    }
    Ok(run.conclude(&figures))
}

impl Run<'_> {
    /// Traffic until then, and servers killed in it.
    fn leg(&mut self, end: Instant) -> std::io::Result<()> {
        let mut kill = Instant::now() + LIFE;
        self.world.over.store(false, Ordering::Relaxed);
        let (world, fleet) = (&self.world, &mut self.fleet);
        std::thread::scope(|scope| {
            for player in &mut self.players {
                scope.spawn(|| player.play(world));
            }
            let mut result = Ok(());
            while Instant::now() < end && !world.has_enough() && result.is_ok() {
                std::thread::sleep(Duration::from_millis(50));
                if !fleet.is_single() && Instant::now() > kill {
                    kill = Instant::now() + LIFE;
                    self.kills += 1;
                    result = fleet.kill_one(&world.lives, &mut self.past);
                }
            }
            world.over.store(true, Ordering::Relaxed);
            result
        })
    }

    fn measure(&self, past: &[Figures]) -> std::io::Result<Figures> {
        let servers = self.world.lives.all().into_iter();
        let servers = servers.map(|life| Health::quiet(life.address, self.idle_descriptors));
        Ok(Figures::new(
            self.begun.elapsed(),
            self.place.entries(),
            servers.collect::<Result<_, _>>()?,
            &self.tally(),
            past,
            self.args,
        ))
    }

    fn tally(&self) -> Tally {
        let mut all = Tally::default();
        self.players
            .iter()
            .for_each(|player| all.add(&player.tally));
        all
    }

    /// Prints the rest of the report, and says whether all was well.
    fn conclude(&self, figures: &[Figures]) -> bool {
        let mut stats = self.past.clone();
        if let Some(last) = figures.last() {
            last.servers
                .iter()
                .for_each(|health| tally::add(&mut stats, &health.stats));
        }
        report::summary(
            self.args,
            self.begun.elapsed(),
            &self.tally(),
            &stats,
            self.kills,
        );
        let uneven = watch::unevenness(figures, self.fleet.steady(), self.args.kind);
        for text in &uneven {
            println!("NOT FLAT: {text}");
        }
        let errors = ["store errors", "unreadable records"]
            .map(|name| stats.get(name).copied().unwrap_or(0));
        let all_well = self.world.findings() == 0 && uneven.is_empty() && errors == [0, 0];
        println!(
            "violations: {}; store errors: {}; unreadable records: {}; flat: {}",
            self.world.findings(),
            errors[0],
            errors[1],
            if uneven.is_empty() { "yes" } else { "no" },
        );
        all_well
    }
}
