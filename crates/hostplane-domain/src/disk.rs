//! Disk space: what a site uses, what a disk has left, and the limits that both are held against.
//!
//! A site at its hard limit is restricted: its database takes no new rows and its route no uploads, and all else works.
//! It is free again some way below the limit, so that a site at the limit isn't changed again and again.

use std::fmt;

/// Bytes in a MiB, the unit of the settings.
pub const MIB: u64 = 1024 * 1024;
/// Share of the hard limit, in percent, below which a restricted site is free again.
const FREE_BELOW: u64 = 95;
/// Share of a limit, in percent, from which a site is measured more often.
const NEAR: u64 = 80;
/// Share of all inodes, in percent, that is kept free besides the reserve of bytes.
const INODES_KEPT: u64 = 3;
/// Growth between two measurements from which a site counts as one of those that fill the disk.
const GROWTH: u64 = 32 * MIB;

/// Files below a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilesUsage {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Files, directories and links.
    pub inodes: u64,
}

impl FilesUsage {
    /// Parses the outputs of `du --summarize`, in bytes and in inodes. They come from a container of the site's owner.
    #[must_use]
    pub fn parse(bytes: &str, inodes: &str) -> Option<Self> {
        Some(Self { bytes: first_number(bytes)?, inodes: first_number(inodes)? })
    }
}

fn first_number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// Space of a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Inodes in all; 0 where the file system has no fixed number.
    pub inodes: u64,
    /// Inodes that are free.
    pub free_inodes: u64,
}

impl DiskSpace {
    /// Parses the outputs of `df -Pk` and `df -Pi` for one directory.
    #[must_use]
    pub fn parse(kibibytes: &str, inodes: &str) -> Option<Self> {
        let (total, free) = df_line(kibibytes)?;
        // A file system without inodes has a dash here.
        let (inodes, free_inodes) = df_line(inodes).unwrap_or_default();
        Some(Self { total: total.checked_mul(1024)?, free: free.checked_mul(1024)?, inodes, free_inodes })
    }
}

/// Total and free of the last line: `device total used free percent directory`.
fn df_line(text: &str) -> Option<(u64, u64)> {
    let fields: Vec<&str> = text.trim_end().lines().last()?.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
    Some((number(1)?, number(3)?))
}

/// The disk usage of a site. A part that could not be measured is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SiteUsage {
    /// Its files.
    pub files: Option<FilesUsage>,
    /// Bytes of its database, without space inside that further rows get first.
    pub database: Option<u64>,
}

impl SiteUsage {
    /// All bytes that are known.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let files = self.files.map_or(0, |files| files.bytes);
        files.saturating_add(self.database.unwrap_or_default())
    }

    /// True when each part was measured.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.files.is_some() && self.database.is_some()
    }
}

/// The limits of disk space, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskLimits {
    /// Usage of a site from which operators are warned.
    pub soft: Option<u64>,
    /// Usage of a site from which it is restricted.
    pub hard: Option<u64>,
    /// Free space of the disk below which no site is made, and sites that grow are restricted.
    pub reserve: u64,
}

impl DiskLimits {
    /// True when a site is to be restricted, or to stay so. What isn't known changes nothing.
    #[must_use]
    pub fn restricts(&self, used: &SiteUsage, is_restricted: bool) -> bool {
        let Some(hard) = self.hard else { return false };
        match used.bytes() {
            bytes if bytes >= hard => true,
            bytes if !used.is_whole() || bytes >= percent(hard, FREE_BELOW) => is_restricted,
            _ => false,
        }
    }

    /// True when operators are to be warned about a site.
    #[must_use]
    pub fn warns(&self, used: &SiteUsage) -> bool {
        self.soft.is_some_and(|soft| used.bytes() >= soft)
    }

    /// True for a site near one of its limits.
    #[must_use]
    pub fn is_near(&self, used: &SiteUsage) -> bool {
        let limits = [self.soft, self.hard].into_iter().flatten();
        limits.into_iter().any(|limit| used.bytes() >= percent(limit, NEAR))
    }

    /// True when the disk's reserve is begun.
    #[must_use]
    pub fn is_reserve_begun(&self, space: &DiskSpace) -> bool {
        let kept = percent(space.inodes, INODES_KEPT);
        space.free < self.reserve || (space.inodes > 0 && space.free_inodes < kept)
    }

    /// True when the disk has no more than twice its reserve.
    #[must_use]
    pub fn is_reserve_near(&self, space: &DiskSpace) -> bool {
        let twice = Self { reserve: self.reserve.saturating_mul(2), ..*self };
        twice.is_reserve_begun(space)
    }
}

/// True when a site has grown so much since the measurement before that it helps to fill the disk.
#[must_use]
pub fn fills_the_disk(before: &SiteUsage, now: &SiteUsage) -> bool {
    let grown = |before: Option<u64>, now: Option<u64>| now.zip(before).map_or(0, |(now, was)| now.saturating_sub(was));
    let files = grown(before.files.map(|files| files.bytes), now.files.map(|files| files.bytes));
    files.saturating_add(grown(before.database, now.database)) >= GROWTH
}

fn percent(whole: u64, percent: u64) -> u64 {
    whole / 100 * percent + whole % 100 * percent / 100
}

/// Bytes for people: in MB up to 10 GB, then in GB (powers of 1024, as in the settings).
#[derive(Debug, Clone, Copy)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.div_ceil(MIB) {
            mib if mib <= 10 * 1024 => write!(f, "{mib} MB"),
            mib => write!(f, "{} GB", mib / 1024),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DiskLimits = DiskLimits { soft: Some(500), hard: Some(1000), reserve: 2000 };

    fn used(files: u64, database: u64) -> SiteUsage {
        SiteUsage { files: Some(FilesUsage { bytes: files, inodes: 1 }), database: Some(database) }
    }

    #[test]
    fn outputs_of_du_and_df_are_numbers_or_nothing() {
        let parse = |bytes, inodes| FilesUsage::parse(bytes, inodes).map(|found| (found.bytes, found.inodes));
        assert_eq!(parse("4096\t/var/www/html\n", "17\t/var/www/html\n"), Some((4096, 17)));
        for hostile in ["", "many /", "-1 /", "99999999999999999999 /", "1e9 /"] {
            assert_eq!(parse(hostile, "17"), None, "{hostile:?}");
        }
        let head = "Filesystem 1024-blocks Used Available Capacity Mounted on\n";
        let space =
            DiskSpace::parse(&format!("{head}overlay 100 60 40 60% /\n"), &format!("{head}overlay 50 20 30 40% /\n"));
        assert_eq!(space, Some(DiskSpace { total: 102_400, free: 40_960, inodes: 50, free_inodes: 30 }));
        let without =
            DiskSpace::parse(&format!("{head}overlay 100 60 40 60% /\n"), &format!("{head}overlay - - - - /\n"));
        assert_eq!(without.map(|space| space.inodes), Some(0));
        assert_eq!(DiskSpace::parse("df: /: no such file", ""), None);
    }

    #[test]
    fn a_restricted_site_is_free_again_some_way_below_the_limit() {
        let restricts = |bytes, is_restricted| LIMITS.restricts(&used(bytes, 0), is_restricted);
        assert_eq!([999, 1000].map(|bytes| restricts(bytes, false)), [false, true]);
        assert_eq!([949, 950, 1000].map(|bytes| restricts(bytes, true)), [false, true, true]);
        assert!(LIMITS.restricts(&used(600, 400), false), "files and database count together");
        assert!(!DiskLimits { hard: None, ..LIMITS }.restricts(&used(5000, 0), true), "without a limit all are free");
        assert!(!DiskLimits { hard: Some(9000), ..LIMITS }.restricts(&used(5000, 0), true), "a raised limit frees");
    }

    #[test]
    fn what_was_not_measured_changes_nothing() {
        let files = SiteUsage { database: None, ..used(10, 0) };
        assert_eq!([true, false].map(|is| LIMITS.restricts(&files, is)), [true, false]);
        assert!(LIMITS.restricts(&SiteUsage { database: None, ..used(1000, 0) }, false), "what is known is too much");
    }

    #[test]
    fn warnings_come_before_the_limit() {
        assert_eq!([499, 500].map(|bytes| LIMITS.warns(&used(bytes, 0))), [false, true]);
        assert_eq!([399, 400].map(|bytes| LIMITS.is_near(&used(bytes, 0))), [false, true]);
        assert!(DiskLimits { soft: None, ..LIMITS }.is_near(&used(800, 0)));
    }

    #[test]
    fn the_reserve_is_of_bytes_and_of_inodes() {
        let space = DiskSpace { total: 10_000, free: 2000, inodes: 100, free_inodes: 3 };
        let begun = |space| LIMITS.is_reserve_begun(&space);
        assert!(!begun(space));
        assert!(begun(DiskSpace { free: 1999, ..space }));
        assert!(begun(DiskSpace { free_inodes: 2, ..space }));
        assert!(!begun(DiskSpace { inodes: 0, free_inodes: 0, ..space }), "a file system without inodes");
        assert_eq!([3999, 4000].map(|free| LIMITS.is_reserve_near(&DiskSpace { free, ..space })), [true, false]);
    }

    #[test]
    fn who_fills_the_disk_is_known_by_growth() {
        assert!(!fills_the_disk(&used(0, 0), &used(GROWTH - 1, 0)));
        assert!(fills_the_disk(&used(0, 0), &used(GROWTH / 2, GROWTH / 2)));
        assert!(!fills_the_disk(&used(GROWTH, 0), &used(0, 0)));
        assert!(!fills_the_disk(&SiteUsage::default(), &used(GROWTH, GROWTH)), "a first measurement is no growth");
    }

    #[test]
    fn sizes_are_read_by_people() {
        let texts = [0, 1, 3 * MIB, 20 * 1024 * MIB].map(|bytes| Size(bytes).to_string());
        assert_eq!(texts, ["0 MB", "1 MB", "3 MB", "20 GB"]);
    }
}
