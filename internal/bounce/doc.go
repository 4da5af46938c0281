// Package bounce reads what receivers say: log lines and bounces of Exim, Postfix,
// sendmail, qmail and Exchange, mailgate's own log, and reports (RFC 3464, RFC 6522).
// It splits the reply from its wrapping (RFC 5321 section 4.2, RFC 3463) and says what
// it means, and what it doesn't.
//
// Scan reads input of any length and kind, line by line, and gives one Reading for
// each recipient that something became of; Groups puts the same ones together. What a
// reply means is a table of rules: the basic code, the enhanced code and the text
// together decide, as providers give one code for many things. Names of rules are
// those of pre-flight's predictions where there is one.
//
// Nothing is asked over the network. The input is foreign: every text of a Reading
// may hold anything but control characters.
package bounce
