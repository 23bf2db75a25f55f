//! Places in which sessions do not last: what other programs delete, and disks of other machines.

use std::path::Path;

use crate::one_line::OneLine;

/// Directories in which other programs delete what they did not make.
///
/// - systemd-tmpfiles deletes by age: after 10 days in `/tmp`, after 30 in `/var/tmp` (`tmp.conf` of systemd; Debian and
///   Ubuntu delete what is in `/tmp` at a restart). macOS, where both are links into `/private`, does so after three days.
/// - systemd-logind deletes in `/dev/shm` what belongs to a user who logs out (`RemoveIPC` in logind.conf(5)), and
///   `/run/user/UID` as a whole. Both are in memory, and empty after a restart.
const CLEANED: [&str; 6] = [
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/run/user",
    "/private/tmp",
    "/private/var/tmp",
];

/// True for a path below a directory in which other programs delete.
fn is_cleaned(path: &Path) -> bool {
    CLEANED.iter().any(|cleaned| path.starts_with(cleaned))
}

/// The name of a file system that lies on other machines, by the number that Linux has for it in `statfs`.
///
/// The numbers are those of `include/uapi/linux/magic.h`, for Ceph of `fs/ceph/super.h`, and for Lustre of
/// `lustre_user.h`. FUSE is not among them: sshfs has its number, and so have many file systems of this machine.
fn network_file_system(number: u32) -> Option<&'static str> {
    Some(match number {
        0x6969 => "NFS",
        0x517B | 0xFE53_4D42 | 0xFF53_4D42 => "SMB",
        0x00C3_6400 => "Ceph",
        // OpenAFS, and the client in Linux itself.
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x0102_1997 => "9p",
        0x0BD0_0BD0 => "Lustre",
        _ => return None,
    })
}

/// Warns if sessions at `path` may be deleted by other programs, or lie on another machine.
pub(super) fn warn(path: &Path, file_system: Option<u32>) {
    // As a cleaner sees it, behind symbolic links.
    let real = path.canonicalize();
    if is_cleaned(real.as_deref().unwrap_or(path)) {
        tracing::warn!(
            target: "bsession",
            path = %OneLine(path.display()),
            hint = "other programs delete what is there, by age or at a restart: name a directory such as `/var/lib/shop/sessions`",
            "sessions_directory_cleaned"
        );
    }
    if let Some(file_system) = file_system.and_then(network_file_system) {
        tracing::warn!(
            target: "bsession",
            path = %OneLine(path.display()),
            file_system,
            hint = "locks may fail there, and each call waits for the network: name a directory on a local disk, or keep sessions in Redis",
            "sessions_directory_on_network"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_other_programs_clean_are_known() {
        for cleaned in [
            "/tmp",
            "/tmp/sessions",
            "/var/tmp/shop/sessions",
            "/dev/shm/sessions",
            "/run/user/1000/sessions",
            "/private/tmp/sessions",
            "/private/var/tmp/a/b",
        ] {
            assert!(is_cleaned(Path::new(cleaned)), "{cleaned}");
        }
        for kept in [
            "/",
            "/tmpfiles/sessions",
            "/srv/tmp/sessions",
            "/var/lib/shop/sessions",
            "/home/ann/shop/sessions",
            "/run/shop/sessions",
            "tmp/sessions",
        ] {
            assert!(!is_cleaned(Path::new(kept)), "{kept}");
        }
    }

    #[test]
    fn file_systems_of_other_machines_are_known() {
        for (number, name) in [
            (0x6969, "NFS"),
            (0x517B, "SMB"),
            (0xFE53_4D42, "SMB"),
            (0xFF53_4D42, "SMB"),
            (0x00C3_6400, "Ceph"),
            (0x5346_414F, "AFS"),
            (0x6B41_4653, "AFS"),
            (0x7375_7245, "Coda"),
            (0x0102_1997, "9p"),
            (0x0BD0_0BD0, "Lustre"),
        ] {
            assert_eq!(network_file_system(number), Some(name), "{number:x}");
        }
        // ext4, xfs, btrfs, tmpfs, overlayfs, ZFS, FUSE.
        for number in [
            0xEF53,
            0x5846_5342,
            0x9123_683E,
            0x0102_1994,
            0x794C_7630,
            0x2FC1_2FC1,
            0x6573_5546,
        ] {
            assert_eq!(network_file_system(number), None, "{number:x}");
        }
    }
}
