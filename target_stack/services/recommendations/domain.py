"""What the tenant's own customers bought together, kept in memory: bounded, and forgotten with the process."""

from collections import Counter, OrderedDict
from collections.abc import Iterable

MOST_PRODUCTS = 2000
MOST_PARTNERS = 50


class Affinity:
    """Counts, for one tenant, which products stood in an order together; the least used products leave first."""

    def __init__(self) -> None:
        self._partners: OrderedDict[str, Counter[str]] = OrderedDict()
        self._popular: Counter[str] = Counter()

    def learn(self, skus: Iterable[str]) -> None:
        """Take note of one order."""
        together = sorted(set(skus))
        self._popular.update(together)
        _keep_most(self._popular, MOST_PRODUCTS)
        for sku in together:
            partners = self._partners.setdefault(sku, Counter())
            partners.update(other for other in together if other != sku)
            _keep_most(partners, MOST_PARTNERS)
            self._partners.move_to_end(sku)
        while len(self._partners) > MOST_PRODUCTS:
            self._partners.popitem(last=False)

    def recommend(self, skus: Iterable[str], count: int) -> list[str]:
        """Return up to *count* products that go with *skus*: what was bought with them, else what sells."""
        asked = set(skus)
        score: Counter[str] = Counter()
        for sku in asked:
            score.update(self._partners.get(sku, Counter()))
        best = [*_ranked(score), *_ranked(self._popular)]
        return [sku for sku in dict.fromkeys(best) if sku not in asked][:count]


def _ranked(counted: Counter[str]) -> list[str]:
    return sorted(counted, key=lambda sku: (-counted[sku], sku))


def _keep_most(counted: Counter[str], most: int) -> None:
    if len(counted) > 2 * most:
        for sku in _ranked(counted)[most:]:
            del counted[sku]
