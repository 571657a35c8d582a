//! The contract of [`Containers`](hostplane_infra::containers::Containers), for the fake and for a real Engine.

mod disk;
#[cfg(feature = "stack")]
mod endings;
mod files;
mod lifecycle;
mod listing;
mod networks;
mod over_tls;
mod programs;
#[cfg(feature = "stack")]
mod restrictions;
mod support;
mod unreachable;
mod volumes;
mod watching;

use hostplane_testing::contract;
pub use support::harness;

contract! {
    on {
        fake: crate::containers::harness::on_fake;
        #[cfg(feature = "stack")]
        stack: crate::containers::harness::on_engine;
    }
    listing: scopes_are_exact, a_mark_is_kept_apart_from_other_labels;
    volumes: made_listed_and_removed, existing_keeps_its_labels, existing_is_mounted_as_it_is, in_use,
        in_use_by_what_runs, made_in_passing, bad_name;
    networks: made_listed_and_removed, name_taken, name_taken_by_a_site, subnet_overlap, ambiguous_name, bad_id,
        active_endpoints, removed_under_a_stopped_container, connect, connect_without_any_network, full,
        full_for_one_that_runs;
    lifecycle: ping, images, made_and_listed, name_taken, name_taken_by_a_site, bad_spec, bad_id, image_missing,
        network_missing, started_stopped_and_removed, absent_is_not_found, removed_twice_at_once,
        removal_in_progress, port_taken;
    files: come_back, are_written_again, take_each_others_place, are_written_before_the_first_start,
        belong_to_the_volume, root_of_a_volume, directory_missing, directory_is_a_file, one_by_one, read_only, written_in_part,
        bad_paths, too_many_bytes;
    programs: input_and_its_end, exit_codes, standard_error, output_is_cut, input_that_is_not_read, user,
        cannot_be_started, not_running, log;
    disk: files_are_counted, space;
    watching: limits, about, mounts_and_health, events;
}
