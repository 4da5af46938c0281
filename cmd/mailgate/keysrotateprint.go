package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"mailgate/internal/notice"
	"mailgate/internal/web"
)

// rotationSince is since when a rotation is in its state.
func rotationSince(r web.Rotation) time.Time {
	switch r.State {
	case "holding":
		return r.Visible
	case "signing":
		return r.Switched
	case "revoking":
		return r.Revoke
	case "done", "cancelled":
		return r.Ended
	}
	return r.Begun
}

// rotationNow says in one line what a rotation waits for.
func rotationNow(r web.Rotation, now time.Time) string {
	if r.Problem != "" {
		return r.Problem
	}
	switch r.State {
	case "publishing", "revoking":
		return published(r)
	case "holding":
		return fmt.Sprintf("on every name server, for %s of more than %s", age(r.Waited), age(r.Hold))
	case "signing":
		return fmt.Sprintf("the old key is kept for %s more", age(max(0, r.Grace-r.Waited)))
	case "done":
		return "the old key is revoked"
	case "cancelled":
		return "the old key signs"
	}
	return ""
}

// published says on how many name servers a record is, and who is to publish it.
func published(r web.Rotation) string {
	have := 0
	for _, s := range r.Servers {
		if s.State == "has" {
			have++
		}
	}
	words := fmt.Sprintf("on %d of %d name servers", have, len(r.Servers))
	switch p := r.Publisher; {
	case p == nil:
		return words + "; publish it"
	case p.Error != "":
		return fmt.Sprintf("%s; publisher %q failed: %s", words, p.Name, p.Error)
	case p.Written:
		return fmt.Sprintf("%s; publisher %q has written it", words, p.Name)
	}
	return words
}

// printRotations shows the steps of each.
func printRotations(out io.Writer, list []web.Rotation, now time.Time, command func(...string) string) {
	for i, r := range list {
		if i > 0 {
			fmt.Fprintln(out)
		}
		printRotation(out, r, now, command)
	}
}

// step is one of the four lines of a rotation, with its mark.
type step struct{ mark, what, words string }

func printRotation(out io.Writer, r web.Rotation, now time.Time, command func(...string) string) {
	paint := painter(out)
	algorithm := ""
	if r.New.Algorithm != "" {
		algorithm = ", " + r.New.Algorithm
	}
	fmt.Fprintf(out, "%s   %s -> %s%s\n", plain(r.Domain, 0), plain(r.Old.Selector, 0), plain(r.New.Selector, 0), algorithm)
	for i, s := range rotationSteps(r, now) {
		mark := s.mark
		switch mark {
		case "✓":
			mark = paint.green(mark)
		case "✗":
			mark = paint.red(mark)
		case "⏸":
			mark = paint.yellow(mark)
		}
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %d %s %-34s %s", i+1, mark, s.what, plain(s.words, 0)), " "))
	}
	printRotationNext(out, r, command)
}

// rotationSteps are the four steps, as far as they are.
func rotationSteps(r web.Rotation, now time.Time) []step {
	ago := func(t time.Time) string { return age(now.Sub(t)) + " ago" }
	steps := []step{
		{"✓", "new key " + r.New.Selector + " written", r.New.File},
		{" ", "record on every name server", ""},
		{" ", "signing switches", "when 2 has held for longer than the old record's TTL"},
		{" ", fmt.Sprintf("old key kept %s, then revoked", age(r.Grace)), ""},
	}
	switch r.State {
	case "planned":
		steps[0].mark = " "
	case "publishing":
		steps[1].mark, steps[1].words = "⏸", rotationNow(r, now)
	case "holding":
		steps[1].mark, steps[1].words = "✓", "since "+clock(r.Visible)
		steps[2].mark, steps[2].words = "⏸", rotationNow(r, now)
	case "signing", "revoking", "done":
		steps[1].mark, steps[2].mark, steps[2].words = "✓", "✓", ago(r.Switched)
		steps[3].mark, steps[3].words = "⏸", rotationNow(r, now)
		if r.State == "done" {
			steps[3].mark, steps[3].words = "✓", "revoked "+ago(r.Ended)
		}
	case "cancelled":
		steps[2].mark, steps[2].words = "✗", "cancelled "+ago(r.Ended)+": the old key signs"
	}
	return steps
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// printRotationNext says what is left to do for people.
func printRotationNext(out io.Writer, r web.Rotation, command func(...string) string) {
	for _, s := range r.Servers {
		if len(r.Publish) > 0 && s.State != "has" {
			fmt.Fprintf(out, "    %s  %s\n", plain(s.Name, 0), plain(serverWords(s), 0))
		}
	}
	if byHand := r.Publisher == nil || r.Publisher.Error != ""; byHand && r.State != "holding" {
		for _, x := range r.Publish {
			fmt.Fprintf(out, "\nPublish at %s:\n", plain(x.At, 80))
			printPublish(out, notice.Record(x))
		}
	}
	switch {
	case r.State == "publishing":
		fmt.Fprintf(out, "\nThe gateway looks by itself. Wait for it: %s\n", plain(command("keys", "rotate", r.Domain, "--selector", r.Old.Selector, "--wait", "2h"), 0))
	case r.State == "planned":
		fmt.Fprintln(out, "\nnothing was done (--dry-run)")
	case r.State == "cancelled" && r.Switched.IsZero():
		fmt.Fprintf(out, "\nNobody uses the new key: %s may be deleted, and its record %s._domainkey.%s, if it is published.\n", plain(r.New.File, 0), plain(r.New.Selector, 0), plain(r.Domain, 0))
	case r.State == "cancelled":
		fmt.Fprintf(out, "\nMail signed by the new key is still on its way: leave its record %s._domainkey.%s for some days.\n", plain(r.New.Selector, 0), plain(r.Domain, 0))
	}
	if r.Configure != "" {
		fmt.Fprintf(out, "\nIn the configuration, in place of selector %q:\n  %s\n", plain(r.Old.Selector, 0), plain(r.Configure, 0))
		switch {
		case r.State == "done" && len(r.UsedBy) > 0:
			fmt.Fprintf(out, "Leave %s: it is also %s.\n", plain(r.Old.File, 0), plain(strings.Join(r.UsedBy, ", "), 0))
		case r.State == "done":
			fmt.Fprintf(out, "Then %s may be deleted.\n", plain(r.Old.File, 0))
		}
	}
}

func serverWords(s web.RotationServer) string {
	switch s.State {
	case "lacks":
		return "no such record"
	case "other":
		return "has something else: " + s.Words
	}
	return "no answer: " + s.Words
}

// maxRotationLines is of how many rotations the status tells.
const maxRotationLines = 5

// rotationLines tell of rotations in a line each.
func rotationLines(list []web.Rotation, now time.Time, command func(...string) string) []string {
	var lines []string
	for i, r := range list {
		if i == maxRotationLines {
			lines = append(lines, fmt.Sprintf("and %d more keys are being replaced: %s", len(list)-i, command("keys", "rotate", "--list")))
			break
		}
		lines = append(lines, fmt.Sprintf("key %s of %s is being replaced by %s: %s: %s",
			plain(r.Old.Selector, 0), plain(r.Domain, 0), plain(r.New.Selector, 0), plain(rotationNow(r, now), 0), command("keys", "rotate", r.Domain, "--selector", r.Old.Selector)))
	}
	return lines
}
