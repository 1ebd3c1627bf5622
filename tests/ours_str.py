import json, sys
from collections import Counter
from multiprocessing import get_context
from tests.conformance.run import our_side
from tests.conformance.verdicts import verdict, EQUAL, BOTH_FAIL
from tests.differential.suite import Recorded
SKIP={'TABLE_NOT_FOUND','SCHEMA_NOT_FOUND','CATALOG_NOT_FOUND','SYNTAX_ERROR','EXCEEDED_TIME_LIMIT','TOO_MANY_ROWS'}
def work(batch):
    out=[]
    with our_side() as side:
        for d in batch:
            r=Recorded([tuple(c) for c in d['columns']], d['rows'], d['error'], d['message'])
            try: v=verdict(d['sql'], r, side.run(d['sql'])); out.append((v.verdict, v.note, d))
            except Exception as e: out.append(('CRASH',repr(e),d))
    return out
if __name__=='__main__':
    rows=[json.loads(l) for l in open('/tmp/team/s11/sql/strangers.jsonl')]
    rows=[d for d in rows if d['error'] not in SKIP]
    print(len(rows)); bs=[rows[i:i+150] for i in range(0,len(rows),150)]
    c=Counter(); f=open('/tmp/team/s11/strangers.verdicts','w')
    with get_context('spawn').Pool(2) as p:
        for o in p.imap_unordered(work,bs):
            for v,n,d in o:
                c[v]+=1
                if v not in (EQUAL,BOTH_FAIL): f.write(f"{v} | {n[:200]!r}\n   {d['sql'][:300]!r}\n   T: {d['error']} {d['message'][:120]!r} {d['columns'][:4]} {d['rows'][:2]}\n"[:900]); f.flush()
    print(c)
