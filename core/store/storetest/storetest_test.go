package storetest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/storetest"
)

// faultEnv, set for a child process, names the fault of the reference store that the child runs the
// suite on.
const faultEnv = "STORETEST_FAULT"

func TestRunPassesTheReference(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return newReference(os.Getenv(faultEnv)) })
}

// bare has no capability.
type bare struct{ store.Store }

func TestRunPassesABareStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return bare{newReference("")} })
}

// TestRunFindsFaults breaks one sentence of the contract at a time and wants the suite to fail in the
// case that is named after it. A failing suite fails the test it runs in, so it runs in a process of
// its own.
func TestRunFindsFaults(t *testing.T) {
	faults := []struct{ fault, failing string }{
		{"stale is a miss", "Expiry/past_Fresh_but_not_Gone_is_returned"},
		{"expires to the second", "Expiry/Gone_is_kept_to_the_millisecond,_not_to_the_second"},
		{"a gone Set is ignored", "Expiry/an_entry_that_is_Gone_already_removes_what_was_there"},
		{"keys are trimmed", "Keys/any_bytes_come_back_under_their_own_key"},
		{"keys are case-insensitive", "Keys/any_bytes_come_back_under_their_own_key"},
		{"keys are made valid UTF-8", "Keys/any_bytes_come_back_under_their_own_key"},
		{"keys are cut", "Keys/any_bytes_come_back_under_their_own_key"},
		{"deps are lost", "GetSet/every_field_of_an_entry"},
		{"Delete counts stale entries", "Delete/stale_entries_go_but_do_not_count"},
		{"Clear takes a pattern", `Clear/only_its_own:_"a*"`},
		{"Close leaves it open", "Close/every_operation_is_ErrClosed_afterwards"},
		{"GetMany sorts", "Batcher/GetMany_keeps_the_order,_nil_for_a_miss"},
		{"Add is not atomic", "Adder/of_concurrent_adders_exactly_one_wins"},
		{"Add respects stale entries", "Adder/takes_a_stale_entry_for_absent"},
		{"Touch does not compare", "Toucher/refuses_when_the_value_was_replaced"},
		{"Incr counts any digits", "Counter/what_is_no_counter_is_ErrNotInteger"},
		{"Incr goes through a float", "Counter/a_counter_that_was_set_can_be_counted_and_read"},
		{"Incr takes the new lifetime", "Counter/what_exists_is_not_created_again"},
		{"Scan ignores the prefix", `Scanner/only_its_own:_"shop:1:"`},
		{"GetBorrowed writes to the key", "Borrower/the_key_is_neither_kept_nor_changed"},
	}
	for _, f := range faults {
		t.Run(f.fault, func(t *testing.T) { wantFinding(t, "TestRunPassesTheReference", f.fault, f.failing) })
	}
}

func TestRunFindsFaultsOfFrontedStores(t *testing.T) {
	faults := []struct{ fault, failing string }{
		{"invalid entries are returned", "an_entry_that_is_not_valid_is_passed_over_in_the_first_tier"},
		{"a stale entry hides a fresh one", "a_stale_entry_does_not_hide_a_fresh_one_behind_it"},
		{"nothing is copied up", "what_is_found_behind_it_is_copied_into_it,_and_shared"},
		{"GetManyValid takes everything", "GetManyValid_does_all_of_this_for_each_key"},
		{"Delete leaves the first tier", "Delete,_Clear_and_a_Set_of_what_is_Gone_clean_the_first_tier"},
		{"Peek looks behind", "Peek_sees_the_first_tier_only"},
		{"SetFront stores behind", "SetFront,_DropFront_and_ClearFront_leave_what_is_behind_alone"},
	}
	for _, f := range faults {
		t.Run(f.fault, func(t *testing.T) {
			wantFinding(t, "TestRunPassesTheFrontedReference", f.fault, "Fronted/"+f.failing)
		})
	}
}

// wantFinding runs a test on a store with a fault, and wants the named case to fail.
func wantFinding(t *testing.T, test, fault, failing string) {
	t.Helper()
	name := test + "/" + failing
	group, _, _ := strings.Cut(failing, "/")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$/^"+group+"$")
	cmd.Env = append(os.Environ(), faultEnv+"="+fault)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("the suite passes")
	}
	if !strings.Contains(string(out), "--- FAIL: "+name+" ") {
		t.Errorf("%s does not fail:\n%s", name, out)
	}
}
