// Names in archives are UTF-8, whatever the locale of the process: for the life of this object, on this
// thread.
#pragma once

#include <locale.h>

namespace bastide::delivery {

class Utf8 {
 public:
  Utf8()
      : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), old_(locale_ ? uselocale(locale_) : nullptr) {}
  ~Utf8() {
    if (old_) uselocale(old_);
    if (locale_) freelocale(locale_);
  }
  Utf8(const Utf8&) = delete;

 private:
  locale_t locale_;
  locale_t old_;
};

}  // namespace bastide::delivery
