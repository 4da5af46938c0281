package preflight

import "context"

// SPFReadable reports whether an SPF record is free of syntax errors, those of the
// records it includes not counted.
func SPFReadable(record string) bool {
	_, err := spfTerms(record)
	return err == nil
}

// TrySPF says in a sentence why an SPF record would not let every egress address
// pass, were it published for the sender; "" where it would, and where DNS gives no
// answer that says otherwise. Without egress addresses only its syntax is looked at.
// It ends with ctx or after Options.Timeout.
func (c *Checker) TrySPF(ctx context.Context, id Identity, record string) string {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	if _, err := spfTerms(record); err != nil {
		return "The SPF record has an error: " + err.Error() + "."
	}
	domain := string(id.spfDomain())
	q := &inquiry{dns: c.dns, id: id, try: record}
	for _, address := range unmapped(id.Egress) {
		e := q.evaluate(ctx, domain, address)
		if f := e.finding(domain, false); f.Status == Fail {
			return f.Text
		}
	}
	return ""
}
