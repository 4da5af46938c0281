package quarantine

import (
	"time"

	"mailgate/internal/mail"
)

// Policy is what the site wants of its quarantine.
type Policy struct {
	Hostname    mail.Domain   // ours: in notices
	NextServer  string        // that released mail goes to, by the name it has in reports
	AutoRelease bool          // the re-check releases what now passes
	Recheck     time.Duration // shortest time between two re-checks of an identity; it grows to 15 minutes with the age of what is held. 0: 30 s
	ReleaseRate int           // messages a minute to one destination; 0: no bound
	MaxAge      time.Duration // then a message is returned to its sender; 0: never
	NotifyAfter time.Duration // then its sender is told that it is late; 0: never
	Postmaster  mail.Address  // gets the digest, and what can't be returned to a sender; null: nobody
	Digest      time.Duration // between two digests; 0: none
	KeepBodies  time.Duration // of finished messages; 0: for ever
	KeepLog     time.Duration // review log and what is known of finished messages; 0: for ever
}
