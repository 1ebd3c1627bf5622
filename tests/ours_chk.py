from collections import Counter
from tests.conformance.fetch import found
from tests.conformance.extract import statements
from tests.conformance.recorded import read_recorded
from tests.conformance.syntax import our_verdict
rec=read_recorded(); c=Counter()
for s in statements(found()):
    r=rec.get(s.key)
    if r is None: continue
    o=our_verdict(s.sql)
    k=(r.error or 'ok' if r.error in ('','SYNTAX_ERROR') else 'other', o); c[k]+=1
    if (not r.error and o not in ('ok','not_supported')) or (r.error and r.error!='SYNTAX_ERROR' and o=='syntax_error'):
        print(r.error, o, s.sql[:200].replace('\n',' '), r.message[:80])
print(c)
