#include "targets/basic_auth.hpp"

#include "targets/base64.hpp"

namespace eventyard::targets {

Secret basic_auth(const std::string& user, const std::string& password)
{
    return Secret{"Basic " + base64(user + ":" + password)};
}

}  // namespace eventyard::targets
