// Package doctor looks at the machine mailgate runs on: what the configuration names,
// Postfix beside it, the clock, the disk, DNS. Each check says what it saw and how to
// mend it.
package doctor
