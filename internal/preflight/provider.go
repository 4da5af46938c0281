package preflight

// Provider of a recipient domain's mailboxes, told from its MX.
type Provider string

const (
	Google          Provider = "google"
	Microsoft       Provider = "microsoft"
	Yahoo           Provider = "yahoo"
	Apple           Provider = "apple"
	QQ              Provider = "qq"
	Other           Provider = "other"   // no rules are known
	UnknownProvider Provider = "unknown" // DNS gave no answer about the MX
)

// KnownProviders returns the providers that rules are known of.
func KnownProviders() []Provider {
	return []Provider{Google, Microsoft, Yahoo, Apple, QQ}
}

// Title returns the provider's name as people say it.
func (p Provider) Title() string {
	switch p {
	case Google:
		return "Gmail"
	case Microsoft:
		return "Microsoft"
	case Yahoo:
		return "Yahoo"
	case Apple:
		return "iCloud"
	case QQ:
		return "QQ"
	case Other:
		return "the receiver"
	}
	return "a receiver not known yet"
}
