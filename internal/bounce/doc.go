// Package bounce reads what receivers say: log lines and bounces of Exim, Postfix,
// sendmail and Exchange, and reports (RFC 3464). It splits the reply from its
// wrapping and says what it means, and what it doesn't.
package bounce
