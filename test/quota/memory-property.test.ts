import { MemoryStore } from '../../src/quota/memory-store.ts';
import { storeProperty } from './store-property.ts';

storeProperty(
  'the store in memory answers any schedule as an exact model does',
  async () => {
    let now = 0;
    return {
      // Runs begin in different years, and in any order.
      store: new MemoryStore({ wall: () => now, ledgerDays: 100_000 }),
      setTime: (ms) => {
        now = ms;
      },
      now: () => now,
      another: null,
    };
  },
  { runs: 500, steps: 80 },
);
